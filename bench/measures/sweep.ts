import { count } from "../../src/core/aggregate.ts";
import { range } from "../../src/core/space.ts";
import { sweep } from "../../src/sdk/sweep.ts";
import { type Fleet, type Store, withFleet } from "../fleet.ts";
import { type Measure, nowMs, type Sample } from "../measure.ts";
import { noOp } from "../no-op.ts";

const POINTS = 1_000_000;
const WORKERS = 2;

const ABOUT =
  "Time per point of a sweep of 10⁶ points that do nothing, from submit to the aggregated answer, on two workers";

export const sweepOverhead: Measure = {
  name: "sweep-overhead",
  about: `${ABOUT}.`,
  rounds: 3,
  round: roundOn("sqlite"),
};

export const sweepOverheadRedis: Measure = {
  name: "sweep-overhead-redis",
  about: `${ABOUT} that share a Redis.`,
  rounds: 3,
  round: roundOn("redis"),
};

function roundOn(store: Store): Measure["round"] {
  return (context) =>
    withFleet(context, { workers: WORKERS, store }, async (fleet) => {
      // The first sweep loads the task's module into the runners.
      await timeSweep(fleet, 1_000, "discard");
      return [
        perPoint("results discarded", await timeSweep(fleet, POINTS, "discard")),
        perPoint("results kept", await timeSweep(fleet, POINTS, "keep")),
      ];
    });
}

async function timeSweep({ client }: Fleet, points: number, results: "keep" | "discard"): Promise<number> {
  const startedAtMs = nowMs();
  const execution = await client.submit(sweep(noOp, { over: range(0, points), reduce: count(), results }));
  const { counters } = await execution.wait();
  const counted = await execution.aggregate();
  const wallMs = nowMs() - startedAtMs;
  if (counters.completed !== points || counted !== points) {
    throw new Error(`${counters.completed} of ${points} points completed, ${String(counted)} counted.`);
  }
  return wallMs;
}

function perPoint(results: string, wallMs: number): Sample {
  const setting = `10⁶ points, ${WORKERS} workers, ${results}`;
  return { system: "holdfast", setting, unit: "µs/point", value: (wallMs * 1_000) / POINTS };
}
