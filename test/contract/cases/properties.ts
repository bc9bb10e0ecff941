/** Properties: whatever happens in whatever order, the promises hold. */
import fc from "fast-check";
import type { Submission } from "../../../src/broker/contract.ts";
import { checkProperty } from "../../support/check-property.ts";
import { histories, mixed, sweeps, workflows } from "../arbitrary-history.ts";
import { auditBroker } from "../audit.ts";
import type { CaseGroup } from "../contract-case.ts";
import { RandomHistory } from "../random-history.ts";
import type { World } from "../world.ts";

const TIME_LIMIT_MS = 15_000;

function holds(world: World, submissions: fc.Arbitrary<readonly Submission[]>): Promise<void> {
  const effort = { runs: world.propertyRuns, timeLimitMs: TIME_LIMIT_MS };
  return checkProperty(fc.tuple(submissions, histories), effort, async ([work, steps]) => {
    const fresh = await world.another();
    const history = await RandomHistory.start(fresh, work);
    for (const one of steps) await history.take(one);
    await history.finish();
    await auditBroker(fresh.broker);
    await fresh.broker.close();
  });
}

export const propertyCases: CaseGroup = {
  name: "random histories",
  cases: [
    {
      name: "an array comes through any history: every item committed once or a dead letter",
      promises: [1, 2, 3, 7, 10],
      run: (world) => holds(world, fc.tuple(sweeps)),
    },
    {
      name: "a workflow comes through any history",
      promises: [1, 2, 3, 7, 10],
      run: (world) => holds(world, fc.tuple(workflows)),
    },
    {
      name: "several executions side by side come through any history",
      promises: [1, 2, 3, 5, 7, 10],
      run: (world) => holds(world, fc.tuple(sweeps, workflows, mixed)),
    },
  ],
};
