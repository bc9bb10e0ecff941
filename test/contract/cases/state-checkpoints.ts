/** Checkpoints: numbered, the newest ones kept, refused from whoever has been replaced. */
import assert from "node:assert/strict";
import type { SaveCheckpointParams } from "../../../src/broker/contract.ts";
import { MAX_CHECKPOINT, MAX_CHECKPOINTS_KEPT, WRITE_MEMORY_MS } from "../../../src/broker/limits.ts";
import { HoldfastError } from "../../../src/errors/index.ts";
import type { CaseGroup } from "../contract-case.ts";
import { refusedWith, type World } from "../world.ts";

const SCOPE = "exec-1/0";
const TTL_MS = 60_000;

type Changes = Partial<SaveCheckpointParams>;

async function save(world: World, data: unknown, changes: Changes = {}): Promise<number> {
  const params = { scope: SCOPE, data: JSON.stringify(data), fence: 1, keep: 5, ttlMs: TTL_MS, ...changes };
  return (await world.broker.saveCheckpoint(params)).version;
}

/** Versions that are there, newest first. */
async function versions(world: World, scope = SCOPE): Promise<readonly number[]> {
  return (await world.broker.listCheckpoints({ scope })).checkpoints.map((one) => one.version);
}

/** The data of one version, or of the newest; undefined where there is none. */
async function read(world: World, version?: number): Promise<unknown> {
  const { checkpoint } = await world.broker.readCheckpoint({
    scope: SCOPE,
    ...(version === undefined ? {} : { version }),
  });
  return checkpoint === undefined ? undefined : JSON.parse(checkpoint.data);
}

async function remove(world: World, which: { readonly version?: number; readonly keep?: number }): Promise<number> {
  return (await world.broker.deleteCheckpoints({ scope: SCOPE, ...which })).deleted;
}

export const checkpointCases: CaseGroup = {
  name: "checkpoints",
  cases: [
    {
      name: "a checkpoint is read as it was saved",
      promises: [2, 8],
      run: async (world) => {
        assert.deepEqual(await world.broker.readCheckpoint({ scope: SCOPE }), {});
        assert.deepEqual(await world.broker.listCheckpoints({ scope: SCOPE }), { checkpoints: [] });
        const savedAt = world.clock.now();
        assert.equal(await save(world, 0, { data: '{ "day":1 }', fence: 3, label: "first day" }), 1);
        const info = { scope: SCOPE, version: 1, fence: 3, size: 11, savedAt, label: "first day" };
        assert.deepEqual(await world.broker.readCheckpoint({ scope: SCOPE }), {
          checkpoint: { ...info, data: '{ "day":1 }' },
        });
        assert.deepEqual(await world.broker.listCheckpoints({ scope: SCOPE }), { checkpoints: [info] });
        await world.advance(10);
        await save(world, "\u{1f512}", { fence: 3 });
        const [newest] = (await world.broker.listCheckpoints({ scope: SCOPE })).checkpoints;
        assert.deepEqual(newest, { scope: SCOPE, version: 2, fence: 3, size: 4, savedAt: savedAt + 10 });
      },
    },
    {
      name: "versions are numbered within their scope; the newest is read, or the one that is asked for",
      promises: [2],
      run: async (world) => {
        for (const day of [1, 2, 3]) assert.equal(await save(world, `day ${day}`), day);
        assert.equal(await save(world, "other", { scope: "exec-1/1" }), 1);
        assert.equal(await read(world), "day 3");
        assert.equal(await read(world, 2), "day 2");
        assert.equal(await read(world, 4), undefined);
        assert.deepEqual(await versions(world), [3, 2, 1]);
        assert.deepEqual(await versions(world, "exec-1/1"), [1]);
      },
    },
    {
      name: "saves that come at once are numbered one after the other",
      promises: [1],
      run: async (world) => {
        const numbers = await Promise.all(Array.from({ length: 10 }, (_, index) => save(world, index, { keep: 10 })));
        assert.deepEqual(
          numbers.toSorted((left, right) => left - right),
          [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
        );
        for (const [index, version] of numbers.entries()) assert.equal(await read(world, version), index);
      },
    },
    {
      name: "a save keeps as many as it says, the newest ones",
      promises: [9],
      run: async (world) => {
        for (let day = 1; day <= 7; day += 1) await save(world, day, { keep: 5 });
        assert.deepEqual(await versions(world), [7, 6, 5, 4, 3]);
        assert.equal(await read(world, 2), undefined);
        await save(world, 8, { keep: 2 });
        assert.deepEqual(await versions(world), [8, 7]);
        await save(world, 9, { keep: 100 });
        assert.deepEqual(await versions(world), [9, 8, 7]);
        await save(world, 10, { keep: 1 });
        assert.deepEqual(await versions(world), [10]);
        assert.equal(await read(world), 10);
      },
    },
    {
      name: "a save of whoever has been replaced is refused and changes nothing",
      promises: [1],
      run: async (world) => {
        await save(world, "first life", { fence: 1 });
        await save(world, "second life", { fence: 2 });
        await save(world, "second life goes on", { fence: 2 });
        await assert.rejects(
          () => save(world, "first life again", { fence: 1, keep: 1 }),
          (thrown: unknown) => {
            assert.ok(HoldfastError.is(thrown, "CHECKPOINT_FENCED"));
            assert.deepEqual(thrown.details, { scope: SCOPE, fence: 1, latest: 2 });
            return true;
          },
        );
        assert.deepEqual(await versions(world), [3, 2, 1]);
        assert.equal(await read(world), "second life goes on");
        assert.equal(await save(world, "elsewhere", { scope: "exec-1/1", fence: 0 }), 1);
      },
    },
    {
      name: "deleting makes no room for whoever has been replaced, and no number is given twice",
      promises: [1],
      run: async (world) => {
        await save(world, 1, { fence: 2 });
        await save(world, 2, { fence: 2 });
        assert.equal(await remove(world, {}), 2);
        await refusedWith("CHECKPOINT_FENCED", () => save(world, 3, { fence: 1 }));
        assert.equal(await save(world, 3, { fence: 2 }), 3);
      },
    },
    {
      name: "a save that names itself is answered as the first time, and changes nothing again",
      promises: [7],
      run: async (world) => {
        const named = { saveId: "s-1", fence: 1, keep: 2 };
        assert.equal(await save(world, "mine", named), 1);
        assert.equal(await save(world, "mine", named), 1);
        assert.deepEqual(await versions(world), [1]);
        assert.equal(await save(world, "an heir's", { fence: 2, keep: 2 }), 2);
        assert.equal(await save(world, "mine", named), 1, "it was saved before its saver was replaced");
        assert.equal(await save(world, "an heir's", { fence: 2, keep: 1 }), 3);
        assert.equal(await save(world, "mine", named), 1);
        assert.deepEqual(await versions(world), [3]);
        assert.equal(await save(world, "another scope's", { ...named, scope: "exec-1/1" }), 1);
      },
    },
    {
      name: "a repeated save does not renew the life of its scope, and a refused one is not remembered",
      promises: [7, 8],
      run: async (world) => {
        await save(world, "mine", { saveId: "s-1", fence: 2 });
        await refusedWith("CHECKPOINT_FENCED", () => save(world, "late", { saveId: "s-2", fence: 1 }));
        assert.equal(await save(world, "in time", { saveId: "s-2", fence: 2 }), 2);
        await world.advance(TTL_MS - 1);
        assert.equal(await save(world, "mine", { saveId: "s-1", fence: 2 }), 1);
        await world.advance(1);
        assert.deepEqual(await versions(world), []);
      },
    },
    {
      name: "a save is forgotten when nobody can be sending it again",
      promises: [9],
      run: async (world) => {
        const named = { saveId: "s-1", ttlMs: 10 * WRITE_MEMORY_MS };
        assert.equal(await save(world, 1, named), 1);
        await world.advance(WRITE_MEMORY_MS - 1);
        assert.equal(await save(world, 1, named), 1);
        await world.advance(2);
        assert.equal(await save(world, 1, named), 2);
      },
    },
    {
      name: "a scope is gone when its time is over after its last save, with its fence and its numbers",
      promises: [8, 9],
      run: async (world) => {
        await save(world, 1, { fence: 7 });
        await world.advance(TTL_MS - 1);
        await save(world, 2, { fence: 7 });
        await world.advance(TTL_MS - 1);
        assert.deepEqual(await versions(world), [2, 1]);
        await world.advance(1);
        assert.deepEqual(await versions(world), []);
        assert.equal(await read(world), undefined);
        assert.equal(await read(world, 2), undefined);
        assert.equal(await remove(world, {}), 0);
        assert.equal(await save(world, "new", { fence: 1 }), 1);
        assert.deepEqual(await versions(world), [1], "nothing of the old scope comes back");
      },
    },
    {
      name: "the last save says how long the scope lives",
      promises: [8],
      run: async (world) => {
        await save(world, 1, { ttlMs: 10_000 });
        await save(world, 2, { ttlMs: 1_000 });
        await world.advance(1_000);
        assert.deepEqual(await versions(world), []);
      },
    },
    {
      name: "one is deleted, or all but the newest, or all; repeated it changes nothing",
      promises: [7],
      run: async (world) => {
        for (let day = 1; day <= 5; day += 1) await save(world, day);
        assert.deepEqual([await remove(world, { version: 2 }), await remove(world, { version: 2 })], [1, 0]);
        assert.deepEqual(await versions(world), [5, 4, 3, 1]);
        assert.deepEqual([await remove(world, { keep: 2 }), await remove(world, { keep: 2 })], [2, 0]);
        assert.deepEqual(await versions(world), [5, 4]);
        assert.equal(await remove(world, { version: 5 }), 1);
        assert.equal(await read(world), 4, "the newest that is left");
        assert.deepEqual([await remove(world, { keep: 0 }), await remove(world, {})], [1, 0]);
        assert.deepEqual(await versions(world), []);
        await save(world, 6);
        assert.deepEqual([await remove(world, {}), await remove(world, {})], [1, 0]);
        await refusedWith("INVALID_REQUEST", () => remove(world, { version: 6, keep: 1 }));
      },
    },
    {
      name: "a checkpoint of the greatest size passes, a larger one does not",
      promises: [9],
      run: async (world) => {
        const data = `"${"x".repeat(MAX_CHECKPOINT - 2)}"`;
        assert.equal(await save(world, 0, { data }), 1);
        const { checkpoint } = await world.broker.readCheckpoint({ scope: SCOPE });
        assert.deepEqual([checkpoint?.data.length, checkpoint?.size], [MAX_CHECKPOINT, MAX_CHECKPOINT]);
        await refusedWith("PAYLOAD_TOO_LARGE", () => save(world, 0, { data: `${data} ` }));
        assert.deepEqual(await versions(world), [1]);
      },
    },
    {
      name: "what is no scope, no fence and no number to keep is refused",
      promises: [9],
      run: async (world) => {
        const wrong: readonly Changes[] = [
          { scope: "" },
          { scope: "x".repeat(513) },
          { scope: "half \ud800" },
          { fence: -1 },
          { fence: 0.5 },
          { keep: 0 },
          { keep: MAX_CHECKPOINTS_KEPT + 1 },
          { ttlMs: 0 },
          { label: "x".repeat(2_001) },
          { saveId: "" },
        ];
        for (const changes of wrong) await refusedWith("INVALID_REQUEST", () => save(world, 1, changes));
        await refusedWith("INVALID_REQUEST", () => world.broker.readCheckpoint({ scope: SCOPE, version: 0 }));
        assert.deepEqual(await versions(world), []);
      },
    },
    {
      name: "scopes and labels may hold whatever text there is",
      promises: [2],
      run: async (world) => {
        for (const any of ["with space", "{curly}", "nul \0 inside", "zwölf", "\u{1f512}", "%_*?[", "a/b/c"]) {
          assert.equal(await save(world, any, { scope: any, label: any }), 1);
          const { checkpoint } = await world.broker.readCheckpoint({ scope: any });
          assert.deepEqual([checkpoint?.scope, checkpoint?.label, checkpoint?.data], [any, any, JSON.stringify(any)]);
        }
      },
    },
    {
      name: "purging deletes scopes whose time is over, a bounded number at a time, and nothing else",
      promises: [9],
      run: async (world) => {
        for (const scope of ["a", "b", "c"]) {
          for (const day of [1, 2]) await save(world, day, { scope, ttlMs: 1_000, saveId: `${scope}-${day}` });
        }
        await save(world, "kept");
        assert.equal((await world.broker.purge({ limit: 2 })).handled, 0);
        await world.advance(WRITE_MEMORY_MS);
        await save(world, "kept");
        let handled = 0;
        for (let more = true, rounds = 0; more; rounds += 1) {
          assert.ok(rounds < 100, "purging gets to an end");
          const reply = await world.broker.purge({ limit: 2 });
          assert.ok(reply.handled <= 2);
          handled += reply.handled;
          ({ more } = reply);
        }
        assert.ok(handled >= 3, "three scopes");
        assert.equal((await world.broker.purge({ limit: 2 })).handled, 0);
        assert.equal(await read(world), "kept");
        assert.equal(await save(world, "new", { scope: "a" }), 1);
      },
    },
  ],
};
