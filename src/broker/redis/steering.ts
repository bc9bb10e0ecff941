/** What people and programs change: submit, extend, pause, resume, cancel. */
import { HoldfastError } from "../../errors/index.ts";
import { checkExtension, checkSubmissions } from "../check-submission.ts";
import type { ExtendParams, SubmitParams, SubmitReceipt } from "../contract.ts";
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
   * All or nothing where the submissions lie in one shard: always without keys, and with one shard.
   * Keyed submissions of one call that lie in several are stored shard by shard; a call that failed
   * half-way is completed by making it again.
   */
  async submit(params: SubmitParams): Promise<SubmitReceipt[]> {
    checkSubmissions(params);
    const { submissions } = params;
    const receipts: SubmitReceipt[] = [];
    for (const [shard, places] of this.#byShard(submissions)) {
      const stored = await this.#submitTo(shard, places.map((place) => submissions[place] as (typeof submissions)[number]));
      places.forEach((place, at) => {
        receipts[place] = stored[at] as SubmitReceipt;
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

  async #submitTo(shard: Shard, submissions: SubmitParams["submissions"]): Promise<SubmitReceipt[]> {
    const { spread, settings, newId } = this.#options;
    const args: ScriptArgument[] = [settings.maxQueueDepth, submissions.length];
    for (const submission of submissions) {
      pushSubmission(args, submission, { id: spread.idIn(shard, newId), retentionMs: settings.retentionMs });
    }
    const [code, ...rest] = await shard.run("submit", args);
    if (code === "KEY_CONFLICT") throw new HoldfastError("KEY_CONFLICT", { key: String(rest[0]) });
    if (code === "QUEUE_FULL") throw this.#queueFull(rest);
    return submissions.map((_, at) => ({ executionId: String(rest[2 * at]), created: Number(rest[2 * at + 1]) === 1 }));
  }

  #queueFull([pool, depth]: readonly Reply[]): HoldfastError {
    const limit = this.#options.settings.maxQueueDepth;
    return new HoldfastError("QUEUE_FULL", { pool: String(pool), depth: Number(depth), limit });
  }

  async extend({ executionId, part, groups, seal }: ExtendParams): Promise<{ readonly total: number }> {
    if (!Number.isInteger(part) || part < 1) throw refusedPart(`is ${part}; parts are numbered from 1`);
    const shard = this.#options.spread.shardOf(executionId);
    const key = `${shard.prefix}exec:${executionId}`;
    const [nextTask, parts] = (await shard.send("HMGET", key, "nextTask", "parts")) as (string | null)[];
    const args: ScriptArgument[] = [this.#options.settings.maxQueueDepth, executionId, part, seal ? "1" : "0"];
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
      case "QUEUE_FULL":
        throw this.#queueFull(rest);
      default:
        throw endedOrUnknown(executionId, [code, ...rest]);
    }
  }

  async steer(name: "pause" | "resume" | "cancel", executionId: string, args: readonly string[]): Promise<void> {
    const reply = await this.#options.spread.shardOf(executionId).run(name, [executionId, ...args]);
    if (reply[0] !== "ok") throw endedOrUnknown(executionId, reply);
  }
}

function refusedPart(problem: string): HoldfastError {
  return new HoldfastError("INVALID_REQUEST", { method: "extend", path: "part", problem });
}

function endedOrUnknown(executionId: string, [code, state]: readonly (Reply | undefined)[]): HoldfastError {
  return code === "EXECUTION_ENDED"
    ? new HoldfastError("EXECUTION_ENDED", { execution: executionId, state: String(state) })
    : new HoldfastError("EXECUTION_NOT_FOUND", { execution: executionId });
}
