/** How a server finds the session of a worker that it does not know, or no longer. */
import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import type { Broker } from "../../../src/broker/contract.ts";
import { type HttpWorld, startHttpWorld } from "../../support/http-server.ts";
import { HttpWorker } from "../../support/http-worker.ts";
import { batch } from "../../support/submissions.ts";
import { watchedBroker } from "../../support/watched-broker.ts";

/** Servers of one broker; `looks` counts how often each has gone through all sessions. */
async function startServers(t: TestContext): Promise<{ one: HttpWorld; two: HttpWorld; looks: () => number }> {
  const { broker } = await startHttpWorld(t);
  let looks = 0;
  const counting: Broker = watchedBroker(broker, (method, perform) => {
    if (method === "listSessions") looks += 1;
    return perform();
  });
  const one = await startHttpWorld(t, { broker });
  const two = await startHttpWorld(t, { broker: counting });
  return { one, two, looks: () => looks };
}

describe("a server that does not know a worker", () => {
  it("looks for it once and then knows it", async (t) => {
    const { one, two, looks } = await startServers(t);
    const worker = (await HttpWorker.join(one)).at(two);
    for (let time = 0; time < 5; time += 1) await worker.expect(200, "heartbeat", {});
    assert.equal(looks(), 1);
  });

  it("finds one that has come since it looked last", async (t) => {
    const { one, two } = await startServers(t);
    for (let no = 0; no < 5; no += 1) {
      await two.expect(404, "POST /workers/ghost/heartbeat", {});
      const worker = await HttpWorker.join(one, `w${no}`);
      await worker.at(two).expect(200, "heartbeat", {});
    }
  });

  it("shares looks between all who ask meanwhile", async (t) => {
    const { two, looks } = await startServers(t);
    const asked = Array.from({ length: 200 }, (_, no) => two.call(`POST /workers/ghost-${no}/heartbeat`, {}));
    for (const { status } of await Promise.all(asked)) assert.equal(status, 404);
    assert.ok(looks() < 100, `${looks()} looks`);
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

  it("keeps a worker that registers while it looks", async (t) => {
    const { broker } = await startHttpWorld(t);
    const opening = Promise.withResolvers<void>();
    const open = Promise.withResolvers<void>();
    const listed = Promise.withResolvers<void>();
    const list = Promise.withResolvers<void>();
    const called: string[] = [];
    const world = await startHttpWorld(t, {
      broker: watchedBroker(broker, async (method, perform) => {
        called.push(method);
        if (method === "openSession") {
          opening.resolve();
          await open.promise;
        }
        const reply = await perform();
        if (method !== "listSessions" || !called.includes("openSession")) return reply;
        listed.resolve();
        await list.promise;
        return reply;
      }),
    });
    const joining = HttpWorker.join(world);
    await opening.promise;
    // This one looks before the session is there, and has looked after.
    const looking = world.call("POST /workers/ghost/heartbeat", {});
    await listed.promise;
    open.resolve();
    const worker = await joining;
    list.resolve();
    assert.equal((await looking).status, 404);
    called.length = 0;
    await worker.expect(200, "heartbeat", {});
    assert.deepEqual(called, ["heartbeat"]);
  });
});
