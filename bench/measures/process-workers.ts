import type { Broker } from "../../src/broker/contract.ts";
import { MAX_PAGE } from "../../src/broker/limits.ts";
import { batch } from "../../src/sdk/batch.ts";
import { withFleet } from "../fleet.ts";
import { type Measure, timedMs } from "../measure.ts";
import { noOp } from "../no-op.ts";

const TASKS = 100_000;
const WORKERS = 2;

export const processWorkers: Measure = {
  name: "process-workers",
  about: "The same by real workers: two of them, each with a warm runner process that calls the task's function.",
  rounds: 3,
  round: (context) =>
    withFleet(context, { workers: WORKERS }, async ({ broker, client }) => {
      await (await client.submit(batch(noOp, [0, 1, 2, 3]))).wait();
      await broker.pausePool({ pool: "default" });
      const execution = await client.submit(
        batch(
          noOp,
          Array.from({ length: TASKS }, (_, index) => index),
        ),
      );
      const wallMs = await timedMs(async () => {
        await broker.resumePool({ pool: "default" });
        await execution.wait();
      });
      await assertResultsOnce(broker, execution.id);
      const setting = `${WORKERS} workers with one runner each, default settings`;
      return [{ system: "holdfast", setting, unit: "tasks/s", value: TASKS / (wallMs / 1_000) }];
    }),
};

/** One result for every task, and nothing refused or tried again on the way. */
async function assertResultsOnce(broker: Broker, executionId: string): Promise<void> {
  const times = new Uint8Array(TASKS);
  for (let cursor = 0, done = false; !done;) {
    const page = await broker.readResults({ executionId, cursor, limit: MAX_PAGE });
    for (const { task } of page.rows) times[task] = (times[task] ?? 0) + 1;
    ({ cursor, done } = page);
  }
  const wrong = times.findIndex((count) => count !== 1);
  if (wrong !== -1) throw new Error(`Task ${wrong} has ${times[wrong]} results.`);
  const { retries, lostAttempts, refusedOutcomes } = await broker.getExecution({ executionId });
  if (retries + lostAttempts + refusedOutcomes > 0)
    throw new Error(`${retries} retries, ${lostAttempts} lost, ${refusedOutcomes} refused.`);
}
