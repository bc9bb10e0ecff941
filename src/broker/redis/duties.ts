/** What the coordinator asks, of every shard. The leader lease lives in the first. */
import type { DutyReply, LeadParams, LeadReply, PendingVerification, VerificationVerdict } from "../contract.ts";
import type { BrokerSettings } from "../settings.ts";
import type { Clock } from "../../util/clock.ts";
import type { Reply } from "./link/link.ts";
import type { ScriptName } from "./scripts.ts";
import { Attention } from "./attention.ts";
import { reachable, type ScriptArgument, type Shard } from "./shard.ts";
import type { Wakes } from "./wakes.ts";

export interface DutiesOptions {
  readonly shards: readonly Shard[];
  /** Of the first shard. */
  readonly wakes: Wakes;
  /** By which callers wait. */
  readonly clock: Clock;
  readonly settings: BrokerSettings;
  readonly socketGraceMs: number;
  /** How long the server, and we with it, were there to hear a worker, milliseconds. */
  readonly listeningMs: (shard: Shard) => number;
}

export class Duties {
  readonly #options: DutiesOptions;
  /** Whose channel is open: how others see that a holder is still connected. */
  readonly #holders = new Set<string>();
  readonly #attention: ReadonlyMap<Shard, Attention>;

  constructor(options: DutiesOptions) {
    const { shards, listeningMs } = options;
    this.#options = options;
    this.#attention = new Map(shards.map((shard) => [shard, new Attention(() => listeningMs(shard))]));
  }

  async lead({ lease, holder, ttlMs }: LeadParams): Promise<LeadReply> {
    const { shards, wakes, socketGraceMs } = this.#options;
    const home = shards[0] as Shard;
    if (!this.#holders.has(holder)) {
      this.#holders.add(holder);
      wakes.hold(`${home.prefix}holder:${holder}`);
    }
    const [, leads, term] = await home.run("lead", [lease, holder, ttlMs, socketGraceMs]);
    return { leader: Number(leads) === 1, term: Number(term) };
  }

  reapSessions(limit: number): Promise<DutyReply> {
    const { settings, socketGraceMs } = this.#options;
    const run = async (shard: Shard): Promise<Reply[]> => {
      const attention = this.#attention.get(shard) as Attention;
      const args = (): ScriptArgument[] => attention.reapArguments({ ...settings, limit, socketGraceMs });
      const reply = await shard.run("reap-sessions", args);
      attention.answered(Number(reply[4]));
      return reply;
    };
    return this.#everywhere(run, most);
  }

  promoteDue(limit: number): Promise<DutyReply> {
    return this.#all("promote-due", () => [limit]);
  }

  async reapOverdue(limit: number): Promise<DutyReply> {
    const { overdueGraceMs } = this.#options.settings;
    const { handled } = await this.#all("reap-overdue", () => [limit, overdueGraceMs]);
    return { handled, more: handled >= limit };
  }

  /** Executions first; state with what is left of the limit. */
  async purge(limit: number): Promise<DutyReply> {
    const reply = await this.#all("purge", () => [limit, this.#options.settings.retentionMs]);
    let { handled, more } = reply;
    for (const shard of reachable(this.#options.shards)) {
      const left = limit - handled;
      if (left <= 0) return { ...reply, handled, more: true };
      const [, deleted, waits] = await shard.run("state-purge", [left]);
      handled += Number(deleted);
      more ||= Number(waits) === 1;
    }
    return { ...reply, handled, more };
  }

  async pendingVerifications(limit: number): Promise<PendingVerification[]> {
    const { shards, settings } = this.#options;
    const args = [limit, settings.verificationPatienceMs];
    const replies = await Promise.all(shards.map((shard) => shard.run("pending-verifications", args)));
    return replies.flatMap(([, ...chunks]) => (chunks as Reply[][]).map(pendingVerification)).slice(0, limit);
  }

  async judge(verdicts: readonly VerificationVerdict[], shardOf: (executionId: string) => Shard): Promise<void> {
    await Promise.all(
      this.#options.shards.map(async (shard) => {
        const own = verdicts.filter(({ executionId }) => shardOf(executionId) === shard);
        if (own.length > 0) await shard.run("judge-verifications", own.flatMap(verdictArguments));
      }),
    );
  }

  #all(name: ScriptName, args: (shard: Shard) => readonly ScriptArgument[]): Promise<DutyReply> {
    return this.#everywhere((shard) => shard.run(name, args(shard)), sum);
  }

  /**
   * Runs a duty in all shards that are there; the replies are { handled, more, ms until the next }. The time
   * of the next is told on our clock, by which the caller waits: the server's may go wrong by any amount.
   */
  async #everywhere(
    run: (shard: Shard) => Promise<Reply[]>,
    total: (handled: readonly number[]) => number,
  ): Promise<DutyReply> {
    const replies = await Promise.all(reachable(this.#options.shards).map(run));
    const next = Math.min(...replies.map(([, , , ms]) => (ms === undefined || ms === "" ? Infinity : Number(ms))));
    return {
      handled: total(replies.map(([, handled]) => Number(handled))),
      more: replies.some(([, , more]) => Number(more) === 1),
      ...(Number.isFinite(next) ? { nextAt: this.#options.clock.now() + next } : {}),
    };
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, one) => all + one, 0);
}

/** What ends in every shard, and is one. */
function most(numbers: readonly number[]): number {
  return Math.max(...numbers);
}

function pendingVerification(chunk: Reply[]): PendingVerification {
  const [executionId, task, start, end, tolerance, copied] = chunk;
  const list = copied as string[];
  const copies = [];
  for (let at = 0; at < list.length; at += 2)
    copies.push({ worker: list[at] as string, values: list[at + 1] as string });
  return {
    executionId: String(executionId),
    task: Number(task),
    start: Number(start),
    end: Number(end),
    tolerance: Number(tolerance),
    copies,
  };
}

function verdictArguments({ executionId, task, start, disagreement }: VerificationVerdict): ScriptArgument[] {
  return [
    executionId,
    task,
    start,
    disagreement?.item ?? "",
    disagreement === undefined ? "" : JSON.stringify(disagreement.workers),
  ];
}
