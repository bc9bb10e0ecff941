import { batch } from "../../src/sdk/batch.ts";
import { siblingModule } from "../../src/util/sibling-module.ts";
import { Child } from "../child.ts";
import { withFleet } from "../fleet.ts";
import { type Measure, nowMs, type Sample } from "../measure.ts";
import { startedAt } from "../no-op.ts";
import { connect, startOwner } from "../open.ts";
import type { InlineRequest } from "../processes/inline-worker.ts";
import { quantile } from "../statistics.ts";
import { noOpTasks } from "../work.ts";

const TASKS_PER_ROUND = 300;

export const claimLatency: Measure = {
  name: "latency-claim",
  about:
    "From the submit of one task to its lease in a waiting worker process; client, broker and worker are three processes.",
  rounds: 5,
  round: async (context) => {
    const owner = await startOwner(context.folder());
    const broker = await connect(owner.place);
    const worker = new Child(siblingModule(import.meta.url, "../processes/inline-worker"));
    await worker.ask({ kind: "connect", place: owner.place } satisfies InlineRequest);
    const received = worker.ask<number[]>({ kind: "receive", count: TASKS_PER_ROUND } satisfies InlineRequest);
    const submittedAtMs: number[] = [];
    for (let task = 0; task < TASKS_PER_ROUND; task += 1) {
      submittedAtMs.push(nowMs());
      const { executions } = await broker.submit({ submissions: [noOpTasks(1)] });
      // The next task finds the worker idle again.
      for (const { executionId } of executions) await untilDone(broker, executionId);
    }
    const receivedAtMs = await received;
    await worker.end();
    await broker.close();
    await owner.end();
    return latencySamples(
      submittedAtMs.map((at, task) => (receivedAtMs[task] ?? Number.NaN) - at),
      "remote broker",
    );
  },
};

export const startLatency: Measure = {
  name: "latency-start",
  about: "From the submit of one task to the first line of its function in the warm runner of an idle worker.",
  rounds: 5,
  round: (context) =>
    withFleet(context, { workers: 1 }, async ({ client }) => {
      await (await client.submit(batch(startedAt, [0]))).wait();
      const latenciesMs: number[] = [];
      for (let task = 0; task < TASKS_PER_ROUND; task += 1) {
        const submittedAtMs = nowMs();
        const execution = await client.submit(batch(startedAt, [task]));
        for await (const { value } of execution.results()) latenciesMs.push(value - submittedAtMs);
      }
      return latencySamples(latenciesMs, "one worker");
    }),
};

async function untilDone(broker: Awaited<ReturnType<typeof connect>>, executionId: string): Promise<void> {
  let cursor = 0;
  for (;;) {
    const reply = await broker.readResults({ executionId, cursor, limit: 1, waitMs: 1_000 });
    if (reply.done) return;
    cursor = reply.cursor;
  }
}

function latencySamples(latenciesMs: readonly number[], setting: string): Sample[] {
  return [0.5, 0.99].map((share) => ({
    system: "holdfast",
    setting: `${setting}, p${share * 100}`,
    unit: "ms",
    value: quantile(latenciesMs, share),
  }));
}
