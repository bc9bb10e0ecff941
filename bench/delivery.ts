/** Exact delivery: every task accepted once, none twice, none from elsewhere. */
import type { Broker } from "../src/broker/contract.ts";

/** Tasks that one worker had accepted, by execution. */
export type Accepted = Readonly<Record<string, readonly number[]>>;

export async function assertDeliveredOnce(
  broker: Broker,
  sizes: ReadonlyMap<string, number>,
  workers: readonly Accepted[],
): Promise<void> {
  for (const [executionId, size] of sizes) {
    const times = new Uint8Array(size);
    for (const accepted of workers)
      for (const task of accepted[executionId] ?? []) times[task] = (times[task] ?? 0) + 1;
    const wrong = times.findIndex((count) => count !== 1);
    if (wrong !== -1) throw new Error(`Task ${wrong} of ${executionId} was accepted ${times[wrong]} times.`);
    const { state, counters } = await broker.getExecution({ executionId });
    if (state !== "completed" || counters.completed !== size) {
      throw new Error(`${executionId} is ${state} with ${counters.completed} of ${size} completed.`);
    }
  }
}
