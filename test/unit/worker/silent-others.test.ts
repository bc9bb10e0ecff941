/** Whether an idle worker may leave, on a real broker whose time is moved by hand. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { openSqliteBroker } from "../../../src/broker/sqlite/index.ts";
import { noneSilent } from "../../../src/worker/silent-others.ts";
import { seededRandom } from "../../support/seeded-random.ts";
import { group, submission, tasks } from "../../support/submissions.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

const LOOK_EVERY_MS = 1_000;

function world() {
  const clock = new VirtualClock();
  const random = seededRandom(1);
  let ids = 0;
  const broker = openSqliteBroker({ file: ":memory:", clock, random, newId: () => `id-${(ids += 1)}` });
  const join = async (worker: string, pool = "default"): Promise<string> => {
    const profile = { worker, host: "h", pid: 1, pools: [pool], capabilities: ["cpu"], slots: 1 };
    return (await broker.openSession(profile)).session;
  };
  const work = async (session: string): Promise<void> => {
    await broker.submit({ submissions: [submission([group(tasks(1))])] });
    assert.equal((await broker.claim({ session, max: 1, waitMs: 0 })).leases.length, 1);
  };
  const ask = (session: string) => {
    const over = new AbortController();
    const params = { broker, clock, session, pools: ["default"], lookEveryMs: LOOK_EVERY_MS, signal: over.signal };
    const seen = { mayLeave: false, over };
    noneSilent(params).then(
      () => (seen.mayLeave = true),
      () => undefined,
    );
    return seen;
  };
  return { broker, clock, join, work, ask };
}

test("it leaves at once when nobody else holds anything", async () => {
  const { broker, clock, join, ask } = world();
  const own = await join("own");
  await join("other");
  const seen = ask(own);
  await clock.advance(0);
  assert.equal(seen.mayLeave, true);
  await broker.close();
});

test("it leaves when the others that hold tasks have shown that they live", async () => {
  const { broker, clock, join, work, ask } = world();
  const [own, other] = [await join("own"), await join("other")];
  await work(other);
  const seen = ask(own);
  await clock.advance(LOOK_EVERY_MS / 2);
  assert.equal(seen.mayLeave, false);
  await broker.heartbeat({ session: other, running: 1 });
  await clock.advance(LOOK_EVERY_MS);
  assert.equal(seen.mayLeave, true);
  await broker.close();
});

test("it stays while one is silent, until the task of that one is work again", async () => {
  const { broker, clock, join, work, ask } = world();
  const [own, other] = [await join("own"), await join("other")];
  await work(other);
  const seen = ask(own);
  for (let look = 0; look < 6; look += 1) {
    await clock.advance(LOOK_EVERY_MS);
    await broker.heartbeat({ session: own, running: 0 });
  }
  assert.equal(seen.mayLeave, false);
  assert.equal((await broker.reapSessions({ limit: 10 })).handled, 1);
  await clock.advance(LOOK_EVERY_MS);
  assert.equal(seen.mayLeave, false, "what was queued just now may be on its way");
  assert.equal((await broker.claim({ session: own, max: 1, waitMs: 0 })).leases.length, 1);
  seen.over.abort(new Error("there is work"));
  await clock.advance(2 * LOOK_EVERY_MS);
  assert.equal(seen.mayLeave, false);
  await broker.close();
});

test("what others hold in pools that it does not serve is not its business", async () => {
  const { broker, clock, join, work, ask } = world();
  const [own, elsewhere] = [await join("own"), await join("elsewhere", "gpu")];
  await broker.submit({ submissions: [submission([group(tasks(1), { pool: "gpu" })])] });
  await broker.claim({ session: elsewhere, max: 1, waitMs: 0 });
  const seen = ask(own);
  await clock.advance(0);
  assert.equal(seen.mayLeave, true);
  await work(own);
  await broker.close();
});

test("a broker out of reach is asked again", async () => {
  const { broker, clock, join, ask } = world();
  const own = await join("own");
  await broker.close();
  const seen = ask(own);
  await clock.advance(5 * LOOK_EVERY_MS);
  assert.equal(seen.mayLeave, false);
  seen.over.abort(new Error("enough"));
});
