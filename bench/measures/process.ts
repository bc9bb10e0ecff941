import { assertDeliveredOnce } from "../delivery.ts";
import { drain } from "../drain.ts";
import { type BenchContext, type Measure, nowMs, type Sample } from "../measure.ts";
import { openBroker } from "../open.ts";
import { RawQueue } from "../raw-sqlite.ts";
import { noOpInputs, submitNoOps } from "../work.ts";

const TASKS = 100_000;
const BATCH = 100;
const LANES = 4;

export const inProcess: Measure = {
  name: "process",
  about: "No-op tasks claimed and completed per second in the broker's own process, every commit durable.",
  rounds: 5,
  round: async (context) => [await bare(context), await holdfast(context)],
};

async function holdfast(context: BenchContext): Promise<Sample> {
  const broker = await openBroker(context.folder());
  const sizes = await submitNoOps(broker, TASKS);
  const { accepted, firstClaimAtMs, lastCommitAtMs } = await drain(broker, {
    worker: "bench",
    batch: BATCH,
    lanes: LANES,
  });
  await assertDeliveredOnce(broker, sizes, [accepted]);
  await broker.close();
  return perSecond("holdfast", `batches of ${BATCH}, ${LANES} in flight`, lastCommitAtMs - firstClaimAtMs);
}

/** One transaction per batch: the results of the last and the claim of the next. */
async function bare(context: BenchContext): Promise<Sample> {
  const queue = new RawQueue(context.folder());
  for (let left = TASKS; left > 0; left -= 20_000) queue.submit(noOpInputs(Math.min(left, 20_000)));
  const startedAt = nowMs();
  for (let claimed = queue.completeAndClaim([], BATCH); claimed.length > 0;)
    claimed = queue.completeAndClaim(claimed, BATCH);
  const wallMs = nowMs() - startedAt;
  if (queue.countResults() !== TASKS) throw new Error(`${queue.countResults()} of ${TASKS} results.`);
  queue.close();
  return perSecond("bare node:sqlite", `batches of ${BATCH}`, wallMs);
}

function perSecond(system: string, setting: string, wallMs: number): Sample {
  return { system, setting, unit: "tasks/s", value: TASKS / (wallMs / 1_000) };
}
