/** Events, dead letters, why, pools and health on Redis: the same answers as on any other store. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { systemClock } from "../../../src/util/clock.ts";
import { eventually } from "../../fixtures/sdk/scratch.ts";
import { checkedReply } from "../../support/checked-reply.ts";
import { FakeWorker } from "../../support/fake-worker.ts";
import { startHttpWorld } from "../../support/http-server.ts";
import { failed, failure } from "../../support/outcomes.ts";
import { group, submission, tasks } from "../../support/submissions.ts";

const ONCE = { limit: 0, baseMs: 1, factor: 1, maxMs: 1, jitter: 0, never: [] };

describe("looking over HTTP, on Redis", () => {
  it("tells all events once, lists and replays dead letters, and says why", async (t) => {
    const world = await startHttpWorld(t, { store: "redis" });
    const work = [
      group(tasks(3), { name: "fit", retry: ONCE }),
      group(tasks(1, [[0]]), { name: "report", pool: "gpu", requires: ["gpu"] }),
    ];
    const { executions } = await world.broker.submit({ submissions: [submission(work)] });
    const executionId = executions[0]?.executionId ?? "";
    const gone = new AbortController();
    t.after(() => gone.abort());
    const stream = await fetch(`${world.url}/api/v1/executions/${executionId}/events`, {
      headers: { accept: "text/event-stream" },
      signal: gone.signal,
    });
    const text = stream.text();
    const worker = await FakeWorker.join(world.broker);
    const leases = await worker.leases(3);
    const first = await checkedReply<{ why: { code: string; since?: number } }>(world, "explainTask", {
      params: { executionId, task: 0 },
    });
    assert.equal(first.why.code, "running");
    assert.ok(first.why.since !== undefined && Math.abs(first.why.since - systemClock().now()) < 60_000);
    for (const lease of leases) {
      if (lease.task === 1) await worker.deliver(failed(lease, failure("timeout", "too slow")));
      else await worker.finish(lease);
    }
    const letters = await checkedReply<{ letters: { id: string; name: string }[] }>(world, "listDeadLetters");
    assert.deepEqual(
      letters.letters.map(({ id, name }) => [id, name]),
      [[`${executionId}~1`, "fit"]],
    );
    const shown = await checkedReply(world, "getDeadLetter", { params: { letterId: `${executionId}~1` } });
    assert.equal(shown["input"], 1);
    const why = await checkedReply<{ why: { code: string } }>(world, "explainTask", {
      params: { executionId, task: 3 },
    });
    assert.equal(why.why.code, "no-worker");
    assert.equal((await checkedReply(world, "replayDeadLetters", { body: { query: {} } }))["changed"], 1);
    await worker.finish(await worker.take());
    const able = await FakeWorker.join(world.broker, { worker: "able", pools: ["gpu"], capabilities: ["gpu"] });
    await able.finish(await able.take());
    const told = await text;
    assert.match(told, /event: end\ndata: \{"executionId":"[^"]+","state":"completed"/);
    const cursors = [...told.matchAll(/^id: (\d+)\nevent: (?!end)/gm)].map(([, cursor]) => Number(cursor));
    const { events } = await world.broker.readEvents({ executionId, cursor: 0, limit: 1_000 });
    assert.deepEqual(
      cursors,
      events.map(({ cursor }) => cursor),
    );
    const { stats } = await checkedReply<{ stats: unknown }>(world, "getQueueStats");
    assert.deepEqual(stats, { waiting: 0, active: 0, completed: 4, failed: 1, delayed: 0, paused: false, total: 5 });
    assert.equal((await checkedReply(world, "getHealth"))["healthy"], true);
    await eventually("nobody reads events", async () => {
      const { server } = await checkedReply<{ server: { eventReaders: number } }>(world, "getStatistics");
      return server.eventReaders === 0;
    });
  });
});
