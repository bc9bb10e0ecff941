/** Locks: one holder at a time, tokens that ascend, and a time to live by the broker's clock. */
import assert from "node:assert/strict";
import type { LockGrant } from "../../../src/broker/contract.ts";
import { MAX_LOCK_TTL_MS, MAX_WAIT_MS } from "../../../src/broker/limits.ts";
import type { CaseGroup } from "../contract-case.ts";
import { ask, holderOf, LOCK, type LockChanges, LONG_TTL_MS, release, take, TTL_MS } from "../lock-turns.ts";
import { refusedWith } from "../world.ts";

export const lockCases: CaseGroup = {
  name: "locks",
  cases: [
    {
      name: "a free lock is granted at once, for as long as was asked",
      promises: [1, 8],
      run: async (world) => {
        assert.deepEqual(await world.broker.readLock({ lock: LOCK }), {});
        const grant = await take(world, "a", { note: "painting it" });
        const now = world.clock.now();
        assert.equal(grant.expiresAt, now + TTL_MS);
        assert.deepEqual(await world.broker.readLock({ lock: LOCK }), {
          lock: { ...grant, lock: LOCK, owner: "a", acquiredAt: now, note: "painting it", waiting: 0 },
        });
      },
    },
    {
      name: "of many that ask at once one gets the lock, and the others are told who",
      promises: [1],
      run: async (world) => {
        const owners = ["a", "b", "c", "d", "e"];
        const replies = await Promise.all(owners.map((owner) => ask(world, owner)));
        const holders = owners.filter((_, index) => replies[index]?.grant !== undefined);
        assert.equal(holders.length, 1);
        const { lock } = await world.broker.readLock({ lock: LOCK });
        for (const reply of replies) {
          if (reply.grant === undefined) assert.deepEqual(reply, { holder: lock, ahead: 0 });
          else assert.deepEqual(reply, { grant: { token: lock?.token, expiresAt: lock?.expiresAt }, ahead: 0 });
        }
      },
    },
    {
      name: "locks of different names know nothing of each other",
      promises: [1],
      run: async (world) => {
        await take(world, "a", { lock: "one" });
        await take(world, "b", { lock: "two" });
        assert.equal(await release(world, "a", "two"), false);
        assert.deepEqual([await holderOf(world, "one"), await holderOf(world, "two")], ["a", "b"]);
      },
    },
    {
      name: "every later grant has a higher token, whatever the lock and however it became free",
      promises: [1, 8],
      run: async (world) => {
        const tokens: number[] = [];
        for (let round = 0; round < 4; round += 1) {
          for (const lock of ["one", "two", "three"]) {
            tokens.push((await take(world, `owner-${round}`, { lock })).token);
            if (lock === "two") await release(world, `owner-${round}`, lock);
          }
          await world.advance(TTL_MS);
        }
        assert.deepEqual(
          tokens,
          [...new Set(tokens)].toSorted((left, right) => left - right),
        );
      },
    },
    {
      name: "the holder who asks again is told the same token, and has the lock as long as if it were new",
      promises: [1, 7],
      run: async (world) => {
        const first = await take(world, "a");
        await world.advance(4_000);
        const again = await take(world, "a", { waitMs: MAX_WAIT_MS });
        assert.deepEqual(again, { token: first.token, expiresAt: world.clock.now() + TTL_MS });
        assert.deepEqual(await take(world, "a", { ttlMs: 1 }), again, "never shorter");
        assert.equal((await world.broker.readLock({ lock: LOCK })).lock?.acquiredAt, world.clock.now() - 4_000);
      },
    },
    {
      name: "a lock is free again when its time is over, by the broker's clock",
      promises: [3, 8],
      run: async (world) => {
        const lost = await take(world, "a");
        await world.advance(TTL_MS - 1);
        assert.equal((await ask(world, "b")).holder?.owner, "a");
        await world.advance(1);
        assert.deepEqual(await world.broker.readLock({ lock: LOCK }), {});
        assert.deepEqual((await world.broker.listLocks({ limit: 10 })).locks, []);
        await refusedWith("LOCK_LOST", () => world.broker.extendLock({ lock: LOCK, owner: "a", ttlMs: TTL_MS }));
        assert.equal(await release(world, "a"), false);
        const heir = await take(world, "b");
        assert.ok(heir.token > lost.token);
        await refusedWith("LOCK_LOST", () => world.broker.extendLock({ lock: LOCK, owner: "a", ttlMs: TTL_MS }));
        assert.equal(await release(world, "a"), false);
        assert.equal(await holderOf(world), "b");
      },
    },
    {
      name: "an extension lengthens the life of a lock from now, and never shortens it",
      promises: [1, 7, 8],
      run: async (world) => {
        const grant = await take(world, "a");
        await world.advance(6_000);
        const extend = (ttlMs: number): Promise<LockGrant> =>
          world.broker.extendLock({ lock: LOCK, owner: "a", ttlMs });
        const extended = { token: grant.token, expiresAt: world.clock.now() + TTL_MS };
        assert.deepEqual(await extend(TTL_MS), extended);
        assert.deepEqual(await extend(TTL_MS), extended);
        assert.deepEqual(await extend(1), extended);
        await world.advance(TTL_MS - 1);
        assert.equal(await holderOf(world), "a");
        await world.advance(1);
        assert.equal(await holderOf(world), undefined);
      },
    },
    {
      name: "only the holder extends and releases",
      promises: [1],
      run: async (world) => {
        const { broker } = world;
        await refusedWith("LOCK_LOST", () => broker.extendLock({ lock: LOCK, owner: "a", ttlMs: TTL_MS }));
        assert.equal(await release(world, "a"), false);
        await take(world, "a");
        const before = await broker.readLock({ lock: LOCK });
        await refusedWith("LOCK_LOST", () => broker.extendLock({ lock: LOCK, owner: "b", ttlMs: LONG_TTL_MS }));
        assert.equal(await release(world, "b"), false);
        assert.deepEqual(await broker.readLock({ lock: LOCK }), before);
      },
    },
    {
      name: "a released lock is free; releasing it again changes nothing",
      promises: [1, 7],
      run: async (world) => {
        await take(world, "a");
        assert.equal(await release(world, "a"), true);
        assert.equal(await release(world, "a"), false);
        assert.deepEqual(await world.broker.readLock({ lock: LOCK }), {});
        await take(world, "b");
        assert.equal(await release(world, "a"), false);
        assert.equal(await holderOf(world), "b");
      },
    },
    {
      name: "locks are listed by the code units of their names, page by page",
      promises: [9],
      run: async (world) => {
        // U+FF5E stands before U+1F512 by code points, and after it by code units.
        const names = ["a", "a/1", "a/2", "a/\u{1f512}", "a/\uff5e", "b"];
        for (const lock of names.toReversed()) await take(world, `of ${lock}`, { lock });
        const list = async (given: { prefix?: string; limit: number; after?: string }): Promise<unknown> => {
          const { locks, next } = await world.broker.listLocks(given);
          return [locks.map((one) => one.lock), next];
        };
        assert.deepEqual(await list({ limit: 10 }), [names, undefined]);
        assert.deepEqual(await list({ limit: 6 }), [names, undefined]);
        assert.deepEqual(await list({ limit: 3, prefix: "a" }), [["a", "a/1", "a/2"], "a/2"]);
        assert.deepEqual(await list({ limit: 3, prefix: "a/", after: "a/2" }), [
          ["a/\u{1f512}", "a/\uff5e"],
          undefined,
        ]);
        assert.deepEqual(await list({ limit: 3, prefix: "c" }), [[], undefined]);
        assert.deepEqual(await list({ limit: 3, prefix: "a/", after: "b" }), [[], undefined]);
        const { locks } = await world.broker.listLocks({ limit: 1, prefix: "b" });
        assert.deepEqual(locks, [(await world.broker.readLock({ lock: "b" })).lock]);
      },
    },
    {
      name: "what is no name, no time to live and no wait is refused",
      promises: [9],
      run: async (world) => {
        const wrong: readonly LockChanges[] = [
          { lock: "" },
          { lock: "x".repeat(513) },
          { lock: "half \ud800" },
          { ttlMs: 0 },
          { ttlMs: 1.5 },
          { ttlMs: MAX_LOCK_TTL_MS + 1 },
          { waitMs: -1 },
          { waitMs: MAX_WAIT_MS + 1 },
          { note: "x".repeat(2_001) },
        ];
        for (const changes of wrong) await refusedWith("INVALID_REQUEST", () => ask(world, "a", changes));
        await refusedWith("INVALID_REQUEST", () => ask(world, ""));
        await refusedWith("INVALID_REQUEST", () => world.broker.listLocks({ limit: 1_001 }));
        assert.deepEqual((await world.broker.listLocks({ limit: 10 })).locks, []);
      },
    },
    {
      name: "names may hold whatever text there is",
      promises: [1],
      run: async (world) => {
        for (const text of ["with space", "{curly}", "nul \0 inside", "zwölf", "\u{1f512}", "%_*?[", "holdfast:own"]) {
          const grant = await take(world, text, { lock: text, note: text });
          const { lock } = await world.broker.readLock({ lock: text });
          assert.deepEqual([lock?.lock, lock?.owner, lock?.note, lock?.token], [text, text, text, grant.token]);
        }
      },
    },
  ],
};
