/** Ranked tasks on Redis: the doctor knows where they may be, replies stay bounded, and a release is one step for many. */
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import type { TaskView } from "../../../src/broker/contract.ts";
import { MAX_PAYLOAD } from "../../../src/broker/limits.ts";
import { DEFAULT_RETRY } from "../../../src/core/retry.ts";
import { allEvents } from "../../contract/audit.ts";
import { Redis } from "../../support/broken-redis.ts";
import { completed, failed, failure, returned } from "../../support/outcomes.ts";
import { group, ranked, submission, tasks, workflow } from "../../support/submissions.ts";

const HOPELESS = failure("invalid-input");
const LANES = "exec:*:lanes:*";

function numbers(leases: readonly { readonly task: number }[]): number[] {
  return leases.map(({ task }) => task);
}

describe("ranked tasks on Redis", { timeout: 60_000 }, () => {
  const opened: Redis[] = [];
  const open = async (): Promise<Redis> => {
    const redis = await Redis.open();
    opened.push(redis);
    return redis;
  };
  after(() => Promise.all(opened.map((redis) => redis.close())));

  it("are sound wherever they are: ready, leased, backing off, delayed, paused, borne, waiting for the end", async () => {
    const redis = await open();
    const groups = [
      group(ranked([5, 4, 3, 2], [[], [], [], [0]])),
      group(ranked([9]), { onFailure: "continue", retry: { ...DEFAULT_RETRY, limit: 0 } }),
      group(ranked([1, 2]), { delayMs: 600_000 }),
      group(tasks(1), { when: "failed" }),
    ];
    const [id = "", paused = ""] = await redis.submitAll([
      submission(groups, { keepInputs: true }),
      submission([group(ranked([1, 2]))]),
    ]);
    const worker = await redis.join();
    await redis.broker.pause({ executionId: paused });
    const leases = await worker.leases(3);
    assert.deepEqual(numbers(leases), [4, 0, 1]);
    const [borne, one] = leases;
    assert.ok(borne !== undefined && one !== undefined);
    await worker.deliver(failed(borne, HOPELESS), failed(one, failure("user-error")));
    assert.deepEqual(await redis.findings({ repair: true }), {});
    await redis.makeAllDue();
    await redis.broker.promoteDue({ limit: 100 });
    await redis.broker.resume({ executionId: paused });
    assert.deepEqual(await redis.findings({ repair: true }), {});
    await worker.die();
    const heir = await redis.join();
    await redis.completeAll([id, paused], heir);
    assert.equal((await redis.view(id)).state, "completed");
    assert.deepEqual(await redis.keys(LANES), []);
    await redis.broker.rerun({ executionId: id, task: 0 });
    assert.deepEqual(await redis.findings({ repair: true }), {});
    await redis.completeAll([id], heir);
  });

  it("that have lost their place get it back, by their rank", async () => {
    const redis = await open();
    const [id = ""] = await redis.submitAll([submission([group(ranked([1, 5, 3]))])]);
    const [lanes = ""] = (await redis.keys(LANES)).map((key) => key.replace(/^\{.*?\}:/, ""));
    await redis.raw("ZREMRANGEBYRANK", lanes, "0", "0");
    assert.match((await redis.findings())["Order"] ?? "", /never handed out: 1/);
    await redis.raw("DEL", lanes);
    assert.match((await redis.mended())["Order"] ?? "", /never handed out: 3/);
    const worker = await redis.join();
    const leases = await worker.leases(2);
    assert.deepEqual(numbers(leases), [1, 2]);
    await worker.finish(...leases);
    await redis.completeAll([id], worker);
  });

  it("that have a place while they run are not handed out twice", async () => {
    const redis = await open();
    const [id = ""] = await redis.submitAll([submission([group(ranked([1, 5, 3]))])]);
    const [lanes = ""] = (await redis.keys(LANES)).map((key) => key.replace(/^\{.*?\}:/, ""));
    const [place = "", score = ""] = (await redis.raw("ZRANGE", lanes, "0", "0", "WITHSCORES")) as string[];
    const worker = await redis.join();
    const lease = await worker.take();
    await redis.raw("ZADD", lanes, score, place);
    assert.match((await redis.mended())["Order"] ?? "", /no work to hand out: 1/);
    const others = await worker.leases(5);
    assert.deepEqual(numbers(others), [2, 0]);
    await worker.finish(lease, ...others);
    await redis.completeAll([id], worker);
  });

  it("that have vanished with their entries are found, and the others go on", async () => {
    const redis = await open();
    const [id = ""] = await redis.submitAll([submission([group(ranked([1, 5, 3]))])]);
    const [first] = (await redis.raw("XRANGE", `exec:${id}:again:0`, "-", "+")) as [string, unknown][];
    await redis.raw("XDEL", `exec:${id}:again:0`, first?.[0] ?? "");
    const worker = await redis.join();
    await worker.finish(...(await worker.leases(5)));
    assert.equal((await redis.view(id)).counters.completed, 2);
    await redis.mended();
    const view = await redis.view(id);
    assert.deepEqual([view.state, view.firstFailure?.code], ["failed", "TASK_VANISHED"]);
  });

  it("counts of failures that are borne are mended", async () => {
    const redis = await open();
    const groups = [group(ranked([5]), { onFailure: "continue" }), group(tasks(1))];
    const [id = ""] = await redis.submitAll([submission(groups)]);
    const worker = await redis.join();
    await worker.deliver(failed(await worker.take(), HOPELESS));
    await redis.raw("HSET", `exec:${id}`, "passed", "7");
    assert.match((await redis.mended())["Counters"] ?? "", /passed of/);
    await redis.completeAll([id], worker);
    assert.equal((await redis.view(id)).state, "completed");
  });

  it("come in their order when the results of their parents are more than a reply may carry", async () => {
    const redis = await open();
    const children = 24;
    const ranks = [0, ...Array.from({ length: children }, (_, index) => index)];
    const work = ranked(ranks, [[], ...Array.from({ length: children }, () => [0])]);
    await redis.submitAll([submission([group(work)])]);
    const worker = await redis.join();
    await worker.deliver(completed(await worker.take(), JSON.stringify("x".repeat(MAX_PAYLOAD - 2))));
    const first = await worker.leases(children);
    assert.ok(first.length >= 10 && first.length < children, `${first.length} in one reply`);
    assert.deepEqual(await redis.findings(), {});
    const second = await worker.leases(children);
    assert.deepEqual(
      numbers([...first, ...second]),
      Array.from({ length: children }, (_, index) => children - index),
    );
    await worker.finish(...first, ...second);
  });

  it("are released together, in one event, when their parents complete in one commit", async () => {
    const redis = await open();
    const parents = Array.from({ length: 30 }, () => []);
    const children = Array.from({ length: 30 }, (_, index) => [index, (index * 7 + 1) % 30, (index * 13 + 5) % 30]);
    const [id = ""] = await redis.submitAll([workflow([...parents, ...children])]);
    const worker = await redis.join();
    await worker.finish(...(await worker.leases(30)));
    const released = (await allEvents(redis.broker, id)).filter(
      ({ change }) => change.kind === "tasks" && change.reason === "released",
    );
    assert.equal(released.length, 1);
    const leases = await worker.leases(60);
    assert.equal(leases.length, 30);
    await worker.finish(...leases);
    await redis.completeAll([id], worker);
  });

  it("are committed once: told again they count no more, and not at all for whom they were taken from", async () => {
    const redis = await open();
    const [id = ""] = await redis.submitAll([submission([group(ranked([3, 2, 1]))])]);
    const worker = await redis.join();
    const leases = await worker.leases(3);
    const [one, two, three] = leases;
    assert.ok(one !== undefined && two !== undefined && three !== undefined);
    const forged = { ...three, token: three.token.replace(/\.1\.(\d+)$/, ".7.$1") };
    assert.notEqual(forged.token, three.token);
    assert.deepEqual(await worker.report(completed(forged)), ["refused"]);
    await worker.deliver(completed(one, '"first"'), returned(two));
    const outcomes = leases.map((lease) => completed(lease, '"again"'));
    assert.deepEqual(await worker.report(...outcomes), ["accepted", "refused", "accepted"]);
    assert.deepEqual(await worker.report(completed(three), completed(two)), ["accepted", "refused"]);
    const { tasks: views } = await redis.broker.listTasks({ executionId: id, limit: 5 });
    assert.deepEqual(
      views.map(({ state, result }: TaskView) => [state, result]),
      [
        ["completed", '"first"'],
        ["queued", undefined],
        ["completed", '"again"'],
      ],
    );
    await redis.completeAll([id], worker);
  });
});
