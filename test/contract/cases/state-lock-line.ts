/** Standing in line for a lock: first come, first served, and nobody who has gone holds the others up. */
import assert from "node:assert/strict";
import { LINE_PATIENCE_MS, MAX_LINE, MAX_LOCK_TTL_MS, MAX_WAIT_MS } from "../../../src/broker/limits.ts";
import { PendingCall } from "../../support/pending-call.ts";
import { turnsOfTheLoop } from "../../support/virtual-clock.ts";
import type { CaseGroup } from "../contract-case.ts";
import { ask, granted, holderOf, LOCK, LONG_TTL_MS, release, standInLine, take, TTL_MS } from "../lock-turns.ts";
import { refusedWith } from "../world.ts";

export const lineCases: CaseGroup = {
  name: "standing in line for a lock",
  cases: [
    {
      name: "a wait is answered at once when the holder releases, without the clock moving",
      promises: [3],
      run: async (world) => {
        const first = await take(world, "a");
        const { call } = await standInLine(world, "b", { note: "next" });
        assert.equal((await world.broker.readLock({ lock: LOCK })).lock?.waiting, 1);
        await release(world, "a");
        const grant = await granted(call);
        assert.ok(grant.token > first.token);
        assert.equal(grant.expiresAt, world.clock.now() + TTL_MS);
        const { lock } = await world.broker.readLock({ lock: LOCK });
        assert.deepEqual([lock?.owner, lock?.note, lock?.waiting], ["b", "next", 0]);
      },
    },
    {
      name: "a wait is answered when the holder's time is over, not sooner",
      promises: [3, 8],
      run: async (world) => {
        await take(world, "a");
        const { call } = await standInLine(world, "b");
        await world.advance(TTL_MS - 1);
        assert.equal(call.state, "waiting");
        await world.advance(1);
        assert.equal(call.state, "done");
        assert.equal((await granted(call)).expiresAt, world.clock.now() + TTL_MS);
      },
    },
    {
      name: "an extension holds those in line back",
      promises: [1],
      run: async (world) => {
        await take(world, "a");
        const { call } = await standInLine(world, "b");
        await world.advance(TTL_MS - 1);
        await world.broker.extendLock({ lock: LOCK, owner: "a", ttlMs: 5_000 });
        await world.advance(4_999);
        assert.equal(call.state, "waiting");
        await world.advance(1);
        await granted(call);
      },
    },
    {
      name: "a lock that is released in the same breath is not overlooked",
      promises: [3],
      run: async (world) => {
        await take(world, "owner-0");
        for (let turn = 1; turn <= 10; turn += 1) {
          const call = ask(world, `owner-${turn}`, { waitMs: MAX_WAIT_MS });
          const releasing = release(world, `owner-${turn - 1}`);
          assert.ok((await call).grant !== undefined);
          assert.equal(await releasing, true);
        }
      },
    },
    {
      name: "locks are given in the order in which owners came",
      promises: [5],
      run: async (world) => {
        await take(world, "a");
        const line = [await standInLine(world, "b"), await standInLine(world, "c"), await standInLine(world, "d")];
        const late = await ask(world, "e", { waitMs: 0 });
        assert.deepEqual([late.holder?.owner, late.holder?.waiting, late.ahead], ["a", 3, 3]);
        let holder = "a";
        for (const [index, { owner, call }] of line.entries()) {
          await release(world, holder);
          await granted(call);
          await world.settle();
          assert.deepEqual(
            line.map((one) => one.call.state),
            line.map((_, place) => (place <= index ? "done" : "waiting")),
          );
          holder = owner;
        }
      },
    },
    {
      name: "a wait that is over tells the place in line",
      promises: [3, 8],
      run: async (world) => {
        const grant = await take(world, "a", { ttlMs: LONG_TTL_MS });
        const first = await standInLine(world, "b", { waitMs: 1_000 });
        const second = await standInLine(world, "c", { waitMs: 1_000 });
        await world.advance(999);
        assert.deepEqual([first.call.state, second.call.state], ["waiting", "waiting"]);
        await world.advance(1);
        const holder = { ...grant, lock: LOCK, owner: "a", acquiredAt: world.clock.now() - 1_000, waiting: 2 };
        assert.deepEqual(await first.call.promise, { holder, ahead: 0 });
        assert.deepEqual(await second.call.promise, { holder, ahead: 1 });
        assert.equal(await holderOf(world), "a", "an answered wait takes nothing later");
      },
    },
    {
      name: "who asks again soon enough keeps the place, and a free lock waits for the first in line",
      promises: [5, 7],
      run: async (world) => {
        await take(world, "a", { ttlMs: LONG_TTL_MS });
        const first = await standInLine(world, "b", { waitMs: 1_000 });
        await world.advance(1_000);
        await first.call.promise;
        const { call } = await standInLine(world, "c");
        await release(world, "a");
        await world.advance(LINE_PATIENCE_MS - 1);
        assert.equal(call.state, "waiting");
        assert.deepEqual(await ask(world, "d"), { ahead: 2 }, "nobody holds it, and it is not free");
        assert.deepEqual(await world.broker.readLock({ lock: LOCK }), {});
        await take(world, "b", { waitMs: 1_000 });
        await release(world, "b");
        await granted(call);
      },
    },
    {
      name: "who asks again too late stands at the end of the line",
      promises: [5, 8],
      run: async (world) => {
        await take(world, "a", { ttlMs: LONG_TTL_MS });
        const gone = await standInLine(world, "b", { waitMs: 1_000 });
        const next = await standInLine(world, "c");
        await world.advance(1_000 + LINE_PATIENCE_MS + 1);
        await gone.call.promise;
        assert.equal((await world.broker.readLock({ lock: LOCK })).lock?.waiting, 1);
        const back = await standInLine(world, "b", { waitMs: 500 });
        await world.advance(500);
        assert.equal((await back.call.promise).ahead, 1);
        await release(world, "a");
        await granted(next.call);
      },
    },
    {
      name: "who went away holds the others up no longer than it has patience",
      promises: [3, 8],
      run: async (world) => {
        await take(world, "a", { ttlMs: LONG_TTL_MS });
        const gone = [await standInLine(world, "b", { waitMs: 500 }), await standInLine(world, "c", { waitMs: 1_000 })];
        const { call } = await standInLine(world, "d");
        await world.advance(1_000);
        for (const one of gone) assert.equal((await one.call.promise).grant, undefined);
        await release(world, "a");
        await world.advance(LINE_PATIENCE_MS - 1);
        assert.equal(call.state, "waiting");
        await world.advance(2);
        assert.equal(call.state, "done");
        await granted(call);
      },
    },
    {
      name: "who went away is passed over at once when its patience was over before",
      promises: [3],
      run: async (world) => {
        await take(world, "a", { ttlMs: LONG_TTL_MS });
        const gone = await standInLine(world, "b", { waitMs: 500 });
        const { call } = await standInLine(world, "c");
        await world.advance(500 + LINE_PATIENCE_MS + 1);
        await gone.call.promise;
        assert.equal(call.state, "waiting");
        await release(world, "a");
        await granted(call);
      },
    },
    {
      name: "releasing gives up a place in line, also that of a call that still waits",
      promises: [6, 7],
      run: async (world) => {
        await take(world, "a", { ttlMs: LONG_TTL_MS });
        const leaver = await standInLine(world, "b");
        const { call } = await standInLine(world, "c");
        assert.equal(await release(world, "b"), true);
        assert.equal(await release(world, "b"), false);
        assert.equal((await world.broker.readLock({ lock: LOCK })).lock?.waiting, 1);
        await release(world, "a");
        await granted(call);
        await release(world, "c");
        await world.settle();
        assert.equal(await holderOf(world), undefined);
        await world.advance(MAX_WAIT_MS);
        const { grant, gaveUp } = await leaver.call.promise;
        assert.deepEqual([grant, gaveUp], [undefined, true]);
        assert.equal(await holderOf(world), undefined, "the call that waited takes nothing");
      },
    },
    {
      name: "an owner that asks twice stands in line once, and both calls are answered with one grant",
      promises: [1, 7],
      run: async (world) => {
        await take(world, "a");
        const first = await standInLine(world, "b");
        const again = await standInLine(world, "b");
        const other = await standInLine(world, "c");
        assert.equal((await world.broker.readLock({ lock: LOCK })).lock?.waiting, 2);
        await release(world, "a");
        assert.deepEqual(await granted(first.call), await granted(again.call));
        await world.settle();
        assert.equal(other.call.state, "waiting");
        await release(world, "b");
        await granted(other.call);
      },
    },
    {
      name: "waits for different locks do not disturb each other",
      promises: [3],
      run: async (world) => {
        for (const lock of ["one", "two"]) await take(world, "a", { lock });
        const one = await standInLine(world, "b", { lock: "one" });
        const two = await standInLine(world, "b", { lock: "two" });
        await release(world, "a", "two");
        await granted(two.call);
        await world.settle();
        assert.equal(one.call.state, "waiting");
        assert.deepEqual([await holderOf(world, "one"), await holderOf(world, "two")], ["a", "b"]);
      },
    },
    {
      name: "a line has a greatest length",
      promises: [9],
      run: async (world) => {
        await take(world, "a", { ttlMs: MAX_LOCK_TTL_MS });
        const line = Array.from({ length: MAX_LINE }, (_, place) => ask(world, `b-${place}`, { waitMs: MAX_WAIT_MS }));
        // They are answered, or refused, when the broker closes.
        void Promise.allSettled(line);
        assert.equal((await ask(world, "c")).ahead, MAX_LINE);
        assert.equal((await world.broker.readLock({ lock: LOCK })).lock?.waiting, MAX_LINE);
        await refusedWith("LINE_FULL", () => ask(world, "c", { waitMs: MAX_WAIT_MS }));
        await release(world, "b-0");
        const last = new PendingCall(ask(world, "c", { waitMs: MAX_WAIT_MS }));
        void Promise.allSettled([last.promise]);
        await world.settle();
        assert.equal(last.state, "waiting");
      },
    },
    {
      name: "fifty clients, each with many turns: never two holders, and nobody is left behind",
      promises: [1, 5],
      run: async (world) => {
        const turns = new Map<string, number>();
        const tokens: number[] = [];
        let inside = 0;
        let left = 500;
        const client = async (owner: string): Promise<void> => {
          for (let turn = 0; left > 0; turn += 1) {
            const name = `${owner}-${turn}`;
            const { grant } = await ask(world, name, { ttlMs: LONG_TTL_MS, waitMs: MAX_WAIT_MS });
            assert.ok(grant !== undefined, `${owner} waits for its turn`);
            inside += 1;
            assert.equal(inside, 1, "one holder at a time");
            tokens.push(grant.token);
            turns.set(owner, (turns.get(owner) ?? 0) + 1);
            left -= 1;
            await turnsOfTheLoop(1);
            inside -= 1;
            assert.equal(await release(world, name), true);
          }
        };
        await Promise.all(Array.from({ length: 50 }, (_, index) => client(`client-${index}`)));
        for (const [index, token] of tokens.entries()) assert.ok(index === 0 || token > (tokens[index - 1] ?? 0));
        assert.equal(turns.size, 50);
        const counts = [...turns.values()];
        assert.ok(Math.max(...counts) - Math.min(...counts) <= 1, `turns: ${counts.join(" ")}`);
      },
    },
  ],
};
