/**
 * A worker of the static baseline: it gets one fixed range, computes it, hands in everything at the
 * end. When it dies, its range dies with it; that is the point.
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import { demoPoints } from "./demo-space.ts";
import { judgePoint } from "./penguins-task.ts";
import type { StaticAssignment, StaticMessage } from "./static-protocol.ts";

function tell(message: StaticMessage): Promise<void> {
  return new Promise((resolve, reject) => {
    process.send?.(message, (error: Error | null) => (error === null ? resolve() : reject(error)));
  });
}

async function compute(assignment: StaticAssignment): Promise<void> {
  const { plan, start, end } = assignment;
  const pointAt = demoPoints(plan);
  const values: string[] = [];
  for (let point = start; point < end; point++) {
    values.push(JSON.stringify(judgePoint(pointAt(point))));
    if (values.length % plan.chunkSize === 0) {
      await tell({ kind: "progress", computed: values.length });
      await nextTurn();
    }
  }
  await tell({ kind: "results", values });
  process.disconnect();
}

// The demo that started us is gone: nobody wants the results any more.
process.once("disconnect", () => process.exit());
process.once("message", (assignment: StaticAssignment) => void compute(assignment));
await tell({ kind: "ready" });
