/** Which executions are verified and how, kept because it never changes: a chunk's worker says whether it is in the sample. */
import type { Outcome, VerifyPlan } from "../contract.ts";
import type { Shard } from "./shard.ts";
import { Cache } from "./cache.ts";

export class VerifyPlans {
  readonly #shardOf: (executionId: string) => Shard;
  /** By execution; null: it is not verified. */
  readonly #plans = new Cache<VerifyPlan | null>();

  constructor(shardOf: (executionId: string) => Shard) {
    this.#shardOf = shardOf;
  }

  /** Of the executions whose chunks may be in the sample. */
  async of(outcomes: readonly Outcome[]): Promise<ReadonlyMap<string, VerifyPlan>> {
    const plans = new Map<string, VerifyPlan>();
    for (const outcome of outcomes) {
      const { executionId } = outcome.lease;
      if (outcome.kind !== "chunk" || outcome.values === undefined || plans.has(executionId)) continue;
      const cached = this.#plans.get(executionId);
      const plan = cached === undefined ? await this.#learn(executionId) : cached;
      if (plan !== null) plans.set(executionId, plan);
    }
    return plans;
  }

  async #learn(executionId: string): Promise<VerifyPlan | null> {
    const shard = this.#shardOf(executionId);
    const text = await shard.send("HGET", `${shard.prefix}exec:${executionId}`, "verify");
    const plan = text === null ? null : (JSON.parse(String(text)) as VerifyPlan);
    this.#plans.set(executionId, plan);
    return plan;
  }
}
