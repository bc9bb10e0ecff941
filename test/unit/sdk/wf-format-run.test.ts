/** Recorded workflows on a real broker in virtual time: what its order of ready tasks makes of their makespan. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, it, type TestContext } from "node:test";
import type { Lease } from "../../../src/broker/contract.ts";
import { openSqliteBroker } from "../../../src/broker/sqlite/index.ts";
import type { NodeInput } from "../../../src/sdk/workflow/node.ts";
import { submissionOf } from "../../../src/sdk/workflow/submission.ts";
import { readWfFormat, wfFormatFacts, wfFormatPlan } from "../../../src/sdk/workflow/wf-format.ts";
import { FakeWorker } from "../../support/fake-worker.ts";
import { seededRandom } from "../../support/seeded-random.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";
import { filesIn, ROOT } from "../../tidy/repository.ts";

const SLOTS = 8;
/** Times of some hundred milliseconds: a session's silence is no matter. */
const TIME_SCALE = 0.001;
const FILES = [
  ...filesIn("test/fixtures/wf-format", ".json").map((file) => path.join(ROOT, file)),
  ...recorded(path.join(ROOT, "../shared/data/workflows")),
];

function recorded(folder: string): readonly string[] {
  try {
    return readdirSync(folder).map((name) => path.join(folder, name));
  } catch {
    return [];
  }
}

interface Running {
  readonly lease: Lease;
  readonly endsAt: number;
}

/** Runs all nodes of a file on one worker with so many slots, and returns how long that took. */
async function makespanOf(t: TestContext, file: string): Promise<{ makespanMs: number; order: readonly string[] }> {
  const clock = new VirtualClock(() => Promise.resolve());
  let ids = 0;
  const newId = (): string => `id-${(ids += 1)}`;
  const broker = openSqliteBroker({ file: ":memory:", clock, random: seededRandom(7), newId });
  t.after(() => broker.close());
  const plan = wfFormatPlan(readWfFormat(JSON.parse(readFileSync(file, "utf8")), file), { timeScale: TIME_SCALE });
  const { submission } = submissionOf(plan);
  await broker.submit({ submissions: [submission] });
  const worker = await FakeWorker.join(broker, { slots: SLOTS });
  const startedAt = clock.now();
  const order: string[] = [];
  let running: Running[] = [];
  for (;;) {
    const leases = await worker.leases(SLOTS - running.length);
    for (const lease of leases) {
      const { node, input } = JSON.parse(lease.input ?? "") as NodeInput;
      order.push(node);
      running.push({ lease, endsAt: clock.now() + (input as { readonly ms: number }).ms });
    }
    if (running.length === 0) return { makespanMs: clock.now() - startedAt, order };
    const next = Math.min(...running.map(({ endsAt }) => endsAt));
    await clock.advance(next - clock.now());
    const ended = running.filter(({ endsAt }) => endsAt === next);
    running = running.filter(({ endsAt }) => endsAt !== next);
    await worker.finish(...ended.map(({ lease }) => lease));
  }
}

describe("recorded workflows on a broker with eight slots", () => {
  for (const file of FILES) {
    it(`${path.basename(file)} takes about what its lower bound says, and no longer than first come first served`, async (t) => {
      const facts = wfFormatFacts(readWfFormat(JSON.parse(readFileSync(file, "utf8")), file), {
        timeScale: TIME_SCALE,
        slots: SLOTS,
      });
      const { makespanMs, order } = await makespanOf(t, file);
      assert.equal(order.length, facts.nodes);
      assert.ok(makespanMs <= facts.lowerBoundMs * 1.16, `${makespanMs} of ${facts.lowerBoundMs}`);
      assert.ok(makespanMs <= facts.fifoMs * 1.001, `${makespanMs} of ${facts.fifoMs}`);
      if (path.basename(file) === "lopsided.json") assert.ok(makespanMs < facts.fifoMs * 0.75);
    });
  }
});
