/** How a server finds the session of a worker that it does not know, or no longer. */
import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { type Clock, systemClock } from "../../../src/util/clock.ts";
import { type HttpWorld, startHttpWorld } from "../../support/http-server.ts";
import { HttpWorker } from "../../support/http-worker.ts";
import { batch } from "../../support/submissions.ts";
import { watchedBroker } from "../../support/watched-broker.ts";

/** Two servers of one broker; `called`: what the second one has asked it. */
async function startServers(t: TestContext): Promise<{ one: HttpWorld; two: HttpWorld; called: string[] }> {
  const { broker } = await startHttpWorld(t);
  const called: string[] = [];
  const watched = watchedBroker(broker, (method, perform) => {
    // The server's own looks at how much gets done are nobody's request.
    if (method !== "listPools") called.push(method);
    return perform();
  });
  const one = await startHttpWorld(t, { broker });
  const two = await startHttpWorld(t, { broker: watched });
  return { one, two, called };
}

describe("a server that does not know a worker", () => {
  it("reads once who it is, and then knows it", async (t) => {
    const { one, two, called } = await startServers(t);
    const worker = (await HttpWorker.join(one)).at(two);
    for (let time = 0; time < 3; time += 1) await worker.expect(200, "heartbeat", {});
    assert.deepEqual(called, ["readValue", "heartbeat", "heartbeat", "heartbeat"]);
  });

  it("asks again about one that was not there, at the cost of one read each time", async (t) => {
    const { one, two, called } = await startServers(t);
    for (let time = 0; time < 3; time += 1) await two.expect(404, "POST /workers/w1/heartbeat", {});
    assert.deepEqual(called, ["readValue", "readValue", "readValue"]);
    const worker = await HttpWorker.join(one);
    await worker.at(two).expect(200, "heartbeat", {});
  });

  it("registers one without looking at others", async (t) => {
    const { two, called } = await startServers(t);
    await HttpWorker.join(two);
    assert.deepEqual(called, ["readValue", "openSession", "writeValue"]);
  });

  it("learns that a worker has registered again elsewhere, and speaks for the new one", async (t) => {
    const { one, two } = await startServers(t);
    const here = await HttpWorker.join(two);
    await two.broker.submit({ submissions: [batch(1)] });
    const { lease: former } = await here.take();
    await HttpWorker.join(one);
    const { tasks } = await here.claim();
    assert.equal(tasks[0]?.attempt, 2);
    await here.expect(409, "complete", { lease: former, result: 1 });
    await here.expect(200, "complete", { lease: tasks[0]?.lease, result: 2 });
  });

  it("learns that a worker has left elsewhere, or is dead", async (t) => {
    const { one, two } = await startServers(t);
    const here = await HttpWorker.join(two);
    await here.at(one).leave();
    await here.expect(404, "heartbeat", {});
    await HttpWorker.join(one);
    await here.expect(200, "heartbeat", {});
    const { sessions } = await one.broker.listSessions({ limit: 1, live: true });
    await one.broker.closeSession({ session: sessions[0]?.session ?? "", reason: "lost" });
    await here.expect(404, "heartbeat", {});
    await two.expect(404, "DELETE /workers/w1");
    await one.expect(404, "DELETE /workers/w1");
  });
});

describe("one worker id", () => {
  it("is one session, however many register it at once at several servers", async (t) => {
    const { one, two } = await startServers(t);
    await Promise.all(Array.from({ length: 6 }, (_, no) => HttpWorker.join(no % 2 === 0 ? one : two)));
    const { sessions } = await one.broker.listSessions({ limit: 10, live: true });
    assert.equal(sessions.length, 1);
    const worker = await HttpWorker.join(one);
    await worker.at(two).expect(200, "heartbeat", {});
  });

  it("may be used for years: its entry is written again before its time is over", async (t) => {
    const machine = systemClock({ keepAlive: true });
    let aheadMs = 0;
    const clock: Clock = { ...machine, now: () => machine.now() + aheadMs };
    const { broker } = await startHttpWorld(t, { settings: { deadAfterMs: 3_155_760_000_000 }, clock });
    const one = await startHttpWorld(t, { broker, clock });
    const worker = await HttpWorker.join(one);
    for (let day = 0; day < 30; day += 1) {
      aheadMs += 86_400_000;
      await worker.expect(200, "heartbeat", {});
    }
    const two = await startHttpWorld(t, { broker, clock });
    await worker.at(two).expect(200, "heartbeat", {});
  });
});
