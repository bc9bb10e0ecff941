import { siblingModule } from "../../src/util/sibling-module.ts";
import { Child } from "../child.ts";
import { assertDeliveredOnce } from "../delivery.ts";
import type { DrainReport } from "../drain.ts";
import type { Measure } from "../measure.ts";
import { connect, startOwner } from "../open.ts";
import type { InlineRequest } from "../processes/inline-worker.ts";
import { submitNoOps } from "../work.ts";

const TASKS = 100_000;
const BATCH = 100;
const LANES = 4;
const WORKERS = 2;

export const processRemote: Measure = {
  name: "process-remote",
  about: "The same with the broker in one process and two worker processes that reach it over the network.",
  rounds: 5,
  round: async (context) => {
    const owner = await startOwner(context.folder());
    const broker = await connect(owner.place);
    const sizes = await submitNoOps(broker, TASKS);
    const workers = Array.from(
      { length: WORKERS },
      () => new Child(siblingModule(import.meta.url, "../processes/inline-worker")),
    );
    await Promise.all(
      workers.map((worker) => worker.ask({ kind: "connect", place: owner.place } satisfies InlineRequest)),
    );
    const reports = await Promise.all(
      workers.map((worker, index) => {
        const options = { worker: `bench-${index}`, batch: BATCH, lanes: LANES };
        return worker.ask<DrainReport>({ kind: "drain", options } satisfies InlineRequest);
      }),
    );
    await assertDeliveredOnce(
      broker,
      sizes,
      reports.map(({ accepted }) => accepted),
    );
    await Promise.all(workers.map((worker) => worker.end()));
    await broker.close();
    await owner.end();
    const firstAtMs = Math.min(...reports.map(({ firstClaimAtMs }) => firstClaimAtMs));
    const lastAtMs = Math.max(...reports.map(({ lastCommitAtMs }) => lastCommitAtMs));
    const setting = `${WORKERS} worker processes, batches of ${BATCH}, ${LANES} in flight each`;
    return [{ system: "holdfast", setting, unit: "tasks/s", value: TASKS / ((lastAtMs - firstAtMs) / 1_000) }];
  },
};
