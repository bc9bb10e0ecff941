/**
 * Random histories in which the owner of the file ends and another opens it, again and again: what
 * the embedded broker keeps in memory must be what the file says, at every moment.
 */
import { join } from "node:path";
import { it } from "node:test";
import fc from "fast-check";
import { histories, mixed, sweeps, workflows } from "../contract/arbitrary-history.ts";
import { auditBroker } from "../contract/audit.ts";
import { RandomHistory, type Step } from "../contract/random-history.ts";
import { checkProperty } from "../support/check-property.ts";
import { withTemporaryFolder } from "../support/temporary-folder.ts";
import { openOwnedWorld } from "../contract/owned-world.ts";

const RUNS = 30;
const TIME_LIMIT_MS = 20_000;

/** Every third step or so is a new owner. */
function withRestarts(steps: readonly Step[]): readonly Step[] {
  return steps.flatMap((step) => (step.pick % 3 === 0 ? [{ ...step, kind: "restart" }, step] : [step]));
}

it("a history goes on where the last owner of the file left it", { timeout: 60_000 }, async () => {
  await withTemporaryFolder(async (folder) => {
    let files = 0;
    const given = fc.tuple(sweeps, workflows, mixed, histories);
    await checkProperty(given, { runs: RUNS, timeLimitMs: TIME_LIMIT_MS }, async ([sweep, workflow, both, steps]) => {
      files += 1;
      const { world, reopen, close } = openOwnedWorld(join(folder, `${files}.db`), files);
      try {
        const history = await RandomHistory.start(world, [sweep, workflow, both], reopen);
        for (const step of withRestarts(steps)) await history.take(step);
        await history.finish();
        await reopen();
        await auditBroker(world.broker);
      } finally {
        await close();
      }
    });
  });
});
