/** Lists with filters and pages: executions, sessions, and a reader's place among the events. */
import assert from "node:assert/strict";
import type { ListExecutionsParams, SessionView } from "../../../src/broker/contract.ts";
import { FROM_NOW } from "../../../src/broker/contract.ts";
import { MAX_PAGE } from "../../../src/broker/limits.ts";
import { batch, sweep } from "../../support/submissions.ts";
import type { CaseGroup } from "../contract-case.ts";
import { refusedWith, type World } from "../world.ts";

/** Ids of all executions that match, page by page; a page may be short, even empty, before the last. */
async function find(world: World, params: Partial<ListExecutionsParams> = {}, limit = 2): Promise<string[]> {
  const found: string[] = [];
  let after: string | undefined;
  do {
    const page = await world.broker.listExecutions({ ...params, limit, ...(after === undefined ? {} : { after }) });
    assert.ok(page.executions.length <= limit);
    found.push(...page.executions.map((view) => view.executionId));
    after = page.next;
  } while (after !== undefined);
  return found;
}

async function liveSessions(world: World, limit: number): Promise<SessionView[]> {
  const found: SessionView[] = [];
  let after: string | undefined;
  do {
    const page = await world.broker.listSessions({ live: true, limit, ...(after === undefined ? {} : { after }) });
    assert.ok(page.sessions.length <= limit);
    found.push(...page.sessions);
    after = page.next;
  } while (after !== undefined);
  return found;
}

export const listingCases: CaseGroup = {
  name: "lists",
  cases: [
    {
      name: "executions are found by kind",
      promises: [9],
      run: async (world) => {
        const one = await world.submit(batch(1));
        const two = await world.submit(sweep(10, 5));
        const three = await world.submit(batch(1, { kind: "workflow" }));
        assert.deepEqual(await find(world, { kinds: ["sweep"] }), [two]);
        assert.deepEqual(await find(world, { kinds: ["workflow", "batch"] }), [three, one]);
        assert.deepEqual(await find(world, { kinds: ["experiment"] }), []);
        assert.deepEqual(await find(world, { kinds: [] }), [three, two, one]);
      },
    },
    {
      name: "executions are found by a part of their name, taken literally",
      promises: [9],
      run: async (world) => {
        const one = await world.submit(batch(1, { name: "nightly evolution" }));
        const two = await world.submit(batch(1, { name: "100% of_it" }));
        const three = await world.submit(batch(1, { name: "evolution, the second" }));
        assert.deepEqual(await find(world, { name: "evolution" }), [three, one]);
        assert.deepEqual(await find(world, { name: "%" }), [two]);
        assert.deepEqual(await find(world, { name: "f_i" }), [two]);
        assert.deepEqual(await find(world, { name: "f_e" }), []);
        assert.deepEqual(await find(world, { name: "" }), [three, two, one]);
      },
    },
    {
      name: "filters hold together, and every page keeps to them",
      promises: [9],
      run: async (world) => {
        const wanted: string[] = [];
        for (let round = 0; round < 5; round += 1) {
          wanted.unshift(await world.submit(batch(1, { name: "wanted" })));
          await world.submit(batch(1, { name: "other" }));
          await world.submit(sweep(1, 1, { name: "wanted" }));
          const cancelled = await world.submit(batch(1, { name: "wanted" }));
          await world.broker.cancel({ executionId: cancelled });
          await world.advance(1);
        }
        const filters: Partial<ListExecutionsParams> = { name: "want", kinds: ["batch"], states: ["pending"] };
        for (const limit of [1, 2, 5, 100]) assert.deepEqual(await find(world, filters, limit), wanted);
        const oldest = await find(world, { ...filters, order: "oldest" });
        assert.deepEqual(oldest, wanted.toReversed());
      },
    },
    {
      name: "executions are listed from the newest or from the oldest",
      promises: [9],
      run: async (world) => {
        const ids: string[] = [];
        for (let count = 0; count < 7; count += 1) {
          ids.push(await world.submit(batch(1)));
          if (count % 2 === 0) await world.advance(1);
        }
        assert.deepEqual(await find(world, { order: "oldest" }), ids);
        assert.deepEqual(await find(world, { order: "newest" }), ids.toReversed());
        assert.deepEqual(await find(world), ids.toReversed());
      },
    },
    {
      name: "a page follows on the one before, whatever came or went between them",
      promises: [9],
      run: async (world) => {
        const ids: string[] = [];
        for (let count = 0; count < 6; count += 1) {
          ids.unshift(await world.submit(batch(1, { retentionMs: 1_000 })));
          await world.advance(1);
        }
        const first = await world.broker.listExecutions({ limit: 2 });
        assert.ok(first.next !== undefined);
        for (const id of ids.slice(1, 3)) await world.broker.cancel({ executionId: id });
        await world.advance(1_001);
        for (let more = true; more;) more = (await world.broker.purge({ limit: 100 })).more;
        await world.submit(batch(1));
        const rest = await world.broker.listExecutions({ limit: 10, after: first.next });
        assert.deepEqual(
          rest.executions.map((view) => view.executionId),
          ids.slice(3),
        );
      },
    },
    {
      name: "live sessions are listed page by page, past the longest page",
      promises: [9],
      run: async (world) => {
        const count = MAX_PAGE + 5;
        const workers = await Promise.all(
          Array.from({ length: count }, (_, index) => world.join({ worker: `w${index}` })),
        );
        const expected = workers.map((worker) => worker.session).toSorted();
        const found = await liveSessions(world, MAX_PAGE);
        assert.deepEqual(found.map(({ session }) => session).toSorted(), expected);
        const [one, two, ...rest] = workers;
        assert.ok(one !== undefined && two !== undefined);
        await one.leave();
        await two.die();
        const left = await liveSessions(world, 100);
        assert.deepEqual(left.map(({ session }) => session).toSorted(), rest.map(({ session }) => session).toSorted());
      },
    },
    {
      name: "sessions that have ended come after the live ones, the latest first, unless only live ones are wanted",
      promises: [9],
      run: async (world) => {
        const early = await world.join({ worker: "early" });
        const live = await world.join({ worker: "live" });
        const late = await world.join({ worker: "late" });
        const drained = await world.join({ worker: "drained" });
        await early.leave();
        await world.advance(1_000);
        await late.die();
        await world.broker.drainSession({ session: drained.session });
        const { sessions, next } = await world.broker.listSessions({ limit: 10 });
        assert.deepEqual(
          sessions
            .slice(0, 2)
            .map(({ worker, state }) => `${worker} ${state}`)
            .toSorted(),
          ["drained draining", "live live"],
        );
        assert.deepEqual(
          sessions.slice(2).map(({ worker, state }) => `${worker} ${state}`),
          ["late lost", "early left"],
        );
        assert.equal(next, undefined);
        const only = await world.broker.listSessions({ limit: 10, live: true });
        assert.deepEqual(
          only.sessions.map(({ session }) => session).toSorted(),
          [live.session, drained.session].toSorted(),
        );
      },
    },
    {
      name: "a session is shown with all that its worker said about itself",
      promises: [9],
      run: async (world) => {
        const profile = {
          worker: "w",
          meta: '{"cores":8}',
          hosted: true,
          slots: 8,
          capabilities: ["gpu"],
          pools: ["qa"],
        };
        await world.join(profile);
        const [shown] = (await world.broker.listSessions({ limit: 10 })).sessions;
        assert.deepEqual({ ...shown, ...profile }, shown);
        await world.join({ worker: "plain" });
        const plain = (await world.broker.listSessions({ limit: 10 })).sessions.find(
          ({ worker }) => worker === "plain",
        );
        assert.equal(plain?.meta, undefined);
        // A host marks every session that it opens, whatever its client says.
        assert.notEqual(plain?.hosted, false);
      },
    },
    {
      name: "a reader may begin now: it is told its place at once, and then what happens",
      promises: [10],
      run: async (world) => {
        const { broker } = world;
        const empty = await broker.readEvents({ cursor: FROM_NOW, limit: 10 });
        assert.deepEqual(empty.events, []);
        const executionId = await world.submit(batch(1));
        const all = await broker.readEvents({ cursor: empty.cursor, limit: 10 });
        assert.deepEqual(
          all.events.map((event) => event.executionId),
          [executionId],
        );
        const now = await broker.readEvents({ cursor: FROM_NOW, limit: 10, waitMs: 20_000 });
        assert.deepEqual([now.events, now.cursor], [[], all.cursor]);
        const own = await broker.readEvents({ cursor: FROM_NOW, executionId, limit: 10, waitMs: 20_000 });
        assert.deepEqual(own.events, []);
        await broker.cancel({ executionId });
        for (const params of [{ cursor: now.cursor }, { cursor: own.cursor, executionId }]) {
          const { events } = await broker.readEvents({ ...params, limit: 10 });
          assert.deepEqual(
            events.map(({ change }) => change.kind === "execution" && change.state),
            ["cancelled"],
          );
        }
        await refusedWith("EXECUTION_NOT_FOUND", () =>
          broker.readEvents({ cursor: FROM_NOW, executionId: "nobody", limit: 10 }),
        );
      },
    },
    {
      name: "a reader that begins now keeps its place though all events have been purged",
      promises: [10],
      run: async (world) => {
        const executionId = await world.submit(batch(1, { retentionMs: 1_000 }));
        const before = await world.broker.readEvents({ cursor: FROM_NOW, limit: 10 });
        await world.broker.cancel({ executionId });
        await world.advance(1_001);
        for (let more = true; more;) more = (await world.broker.purge({ limit: 100 })).more;
        const after = await world.broker.readEvents({ cursor: FROM_NOW, limit: 10 });
        assert.ok(after.cursor >= before.cursor, `${after.cursor} after ${before.cursor}`);
        await world.submit(batch(1));
        assert.equal((await world.broker.readEvents({ cursor: after.cursor, limit: 10 })).events.length, 1);
      },
    },
  ],
};
