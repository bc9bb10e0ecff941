/** What people and programs change: submit, extend, pause, resume, cancel, signal. What runs again by hand: replays.ts. */
import { HoldfastError } from "../../errors/index.ts";
import { checkExtension, checkRescues, checkSubmissions } from "../check-submission.ts";
import type {
  ExtendParams,
  LimitPoolParams,
  SignalParams,
  SignalReply,
  SteerPoolParams,
  SubmitParams,
  SubmitReceipt,
} from "../contract.ts";
import { MAX_SIGNALS } from "../limits.ts";
import type { BrokerSettings } from "../settings.ts";
import type { Reply } from "./link/link.ts";
import type { ScriptArgument, Shard } from "./shard.ts";
import type { Spread } from "./spread.ts";
import { pushGroups, pushSubmission } from "./submit-arguments.ts";

export interface SteeringOptions {
  readonly spread: Spread;
  readonly settings: BrokerSettings;
  readonly newId: () => string;
}

export class Steering {
  readonly #options: SteeringOptions;

  constructor(options: SteeringOptions) {
    this.#options = options;
  }

  /**
   * All or nothing: submissions without keys go to one shard together. Keyed ones may lie in several;
   * then every shard is asked first whether it would refuse. A call that breaks off between two shards
   * is completed by making it again.
   */
  async submit(params: SubmitParams): Promise<SubmitReceipt[]> {
    checkSubmissions(params);
    const { submissions } = params;
    const parts = [...this.#byShard(submissions)].map(([shard, places]) => {
      const own = places.map((place) => submissions[place] as (typeof submissions)[number]);
      return { shard, places, args: this.#submitArguments(shard, own) };
    });
    // What one shard would refuse must not be found out when another has stored its part.
    if (parts.length > 1) for (const { shard, args } of parts) await this.#submitTo(shard, { args, isTrial: true });
    const receipts: SubmitReceipt[] = [];
    for (const { shard, places, args } of parts) {
      const stored = await this.#submitTo(shard, { args, isTrial: false });
      places.forEach((place, at) => {
        receipts[place] = { executionId: String(stored[2 * at]), created: Number(stored[2 * at + 1]) === 1 };
      });
    }
    return receipts;
  }

  #byShard(submissions: SubmitParams["submissions"]): Map<Shard, number[]> {
    const { spread, newId } = this.#options;
    const unkeyed = spread.shardOf(newId());
    const places = new Map<Shard, number[]>();
    submissions.forEach(({ key }, place) => {
      const shard = key === undefined ? unkeyed : spread.shardOf(key);
      const list = places.get(shard);
      if (list === undefined) places.set(shard, [place]);
      else list.push(place);
    });
    return places;
  }

  #submitArguments(shard: Shard, submissions: SubmitParams["submissions"]): readonly ScriptArgument[] {
    const { spread, settings, newId } = this.#options;
    const args: ScriptArgument[] = [submissions.length];
    for (const submission of submissions) {
      pushSubmission(args, submission, { id: spread.idIn(shard, newId), retentionMs: settings.retentionMs });
    }
    return args;
  }

  async #submitTo(
    shard: Shard,
    how: { readonly args: readonly ScriptArgument[]; readonly isTrial: boolean },
  ): Promise<readonly Reply[]> {
    const head = [this.#maxDepth, how.isTrial ? "1" : "0"];
    const [code, ...rest] = await shard.run("submit", [...head, ...how.args]);
    if (code === "KEY_CONFLICT") throw new HoldfastError("KEY_CONFLICT", { key: String(rest[0]) });
    if (code === "QUEUE_FULL") throw this.#queueFull(rest);
    return rest;
  }

  get #maxDepth(): number {
    return maxDepthOf(this.#options);
  }

  #queueFull(full: readonly Reply[]): HoldfastError {
    return queueFull(full, this.#maxDepth);
  }

  async extend({ executionId, part, groups, seal }: ExtendParams): Promise<{ readonly total: number }> {
    if (!Number.isInteger(part) || part < 1) throw refusedPart(`is ${part}; parts are numbered from 1`);
    const shard = this.#options.spread.shardOf(executionId);
    const key = `${shard.prefix}exec:${executionId}`;
    const [nextTask, parts] = (await shard.send("HMGET", key, "nextTask", "parts")) as (string | null)[];
    const args: ScriptArgument[] = [this.#maxDepth, executionId, part, seal ? "1" : "0"];
    const isNext = nextTask !== null && part === Number(parts ?? 0) + 1;
    if (isNext) checkExtension({ executionId, part, groups, seal }, Number(nextTask));
    pushGroups(args, groups);
    const [code, ...rest] = await shard.run("extend", args);
    switch (code) {
      case "ok":
        return { total: Number(rest[0]) };
      case "EXECUTION_SEALED":
        throw new HoldfastError("EXECUTION_SEALED", { execution: executionId });
      case "PART":
        throw refusedPart(`is ${part}; the next part is ${String(rest[0])}`);
      case "RESCUES":
        checkRescues({ ...rescuesOf(rest), groups, method: "extend" });
        throw new HoldfastError("INTERNAL", { problem: "the script extend refuses what may be added" });
      case "QUEUE_FULL":
        throw this.#queueFull(rest);
      default:
        throw endedOrUnknown(executionId, [code, ...rest]);
    }
  }

  /** Slots of all live sessions, where all pools are meant. */
  async setPoolPaused({ pool, by = "" }: SteerPoolParams, isPaused: boolean): Promise<number> {
    const args = [pool, isPaused ? "1" : "0", by];
    const [home] = await Promise.all(this.#options.spread.all.map((shard) => shard.run("pause-pool", args)));
    return Number(home?.[1]);
  }

  async limitPool({ pool, min, max }: LimitPoolParams): Promise<void> {
    await Promise.all(this.#options.spread.all.map((shard) => shard.run("limit-pool", [pool, min, max ?? ""])));
  }

  async signal({ executionId, signal, payload }: SignalParams): Promise<SignalReply> {
    const shard = this.#options.spread.shardOf(executionId);
    const [code, ...rest] = await shard.run("signal", [executionId, signal, payload, MAX_SIGNALS]);
    if (code === "ok") return { accepted: rest[0] === 1, released: Number(rest[1]) };
    if (code === "FULL")
      throw new HoldfastError("BATCH_TOO_LARGE", { what: "signals", count: Number(rest[0]), limit: MAX_SIGNALS });
    throw endedOrUnknown(executionId, [code, ...rest]);
  }

  async steer(name: "pause" | "resume" | "cancel", executionId: string, args: readonly string[]): Promise<void> {
    const reply = await this.#options.spread.shardOf(executionId).run(name, [executionId, ...args]);
    if (reply[0] !== "ok") throw endedOrUnknown(executionId, reply);
  }
}

/** Each shard takes its share of what a pool may hold. */
export function maxDepthOf({ spread, settings }: Pick<SteeringOptions, "spread" | "settings">): number {
  return Math.ceil(settings.maxQueueDepth / spread.shards);
}

export function queueFull([pool, depth]: readonly Reply[], limit: number): HoldfastError {
  return new HoldfastError("QUEUE_FULL", { pool: String(pool), depth: Number(depth), limit });
}

function refusedPart(problem: string): HoldfastError {
  return new HoldfastError("INVALID_REQUEST", { method: "extend", path: "part", problem });
}

export function endedOrUnknown(executionId: string, [code, state]: readonly (Reply | undefined)[]): HoldfastError {
  return code === "EXECUTION_ENDED"
    ? new HoldfastError("EXECUTION_ENDED", { execution: executionId, state: String(state) })
    : new HoldfastError("EXECUTION_NOT_FOUND", { execution: executionId });
}

/** `told`: maxFailures, then first task and count of each group of rescue tasks. */
export function rescuesOf([maxFailures, ...spans]: readonly Reply[]): {
  readonly maxFailures: number | undefined;
  readonly rescues: readonly { readonly first: number; readonly count: number }[];
} {
  const rescues = [];
  for (let at = 0; at < spans.length; at += 2) rescues.push({ first: Number(spans[at]), count: Number(spans[at + 1]) });
  return { maxFailures: maxFailures === "" ? undefined : Number(maxFailures), rescues };
}
