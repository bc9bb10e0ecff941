/** Values: versions, compare-and-set, a time to live, and repeats that change nothing. */
import assert from "node:assert/strict";
import type { ListValuesParams, WriteValueParams } from "../../../src/broker/contract.ts";
import { MAX_PAYLOAD, MAX_REPLY_PAYLOAD, WRITE_MEMORY_MS } from "../../../src/broker/limits.ts";
import { HoldfastError } from "../../../src/errors/index.ts";
import type { CaseGroup } from "../contract-case.ts";
import { refusedWith, type World } from "../world.ts";

type Written = { readonly version: number; readonly expiresAt?: number };
type Changes = Partial<Omit<WriteValueParams, "key" | "value">>;

function write(world: World, key: string, value: unknown, changes: Changes = {}): Promise<Written> {
  return world.broker.writeValue({ key, value: JSON.stringify(value), ttlMs: null, ...changes });
}

/** The value itself, undefined where there is none. */
async function read(world: World, key: string): Promise<unknown> {
  const { value } = await world.broker.readValue({ key });
  return value === undefined ? undefined : JSON.parse(value.value);
}

async function remove(world: World, key: string, ifVersion?: number): Promise<boolean> {
  const { deleted } = await world.broker.deleteValue({ key, ...(ifVersion === undefined ? {} : { ifVersion }) });
  return deleted;
}

async function list(
  world: World,
  params: ListValuesParams,
): Promise<readonly [keys: readonly string[], next: string | undefined]> {
  const { values, next } = await world.broker.listValues(params);
  return [values.map((one) => one.key), next];
}

/** JSON text of exactly `length` characters. */
function text(length: number): string {
  return `"${"x".repeat(length - 2)}"`;
}

export const valueCases: CaseGroup = {
  name: "values",
  cases: [
    {
      name: "a value is read as it was written",
      promises: [2, 8],
      run: async (world) => {
        assert.deepEqual(await world.broker.readValue({ key: "k" }), {});
        const now = world.clock.now();
        const kept = await world.broker.writeValue({ key: "k", value: '{ "a":1 }', ttlMs: null });
        assert.deepEqual(await world.broker.readValue({ key: "k" }), {
          value: { key: "k", value: '{ "a":1 }', version: kept.version, updatedAt: now },
        });
        await world.advance(10);
        const passing = await world.broker.writeValue({ key: "k", value: "2", ttlMs: 1_000 });
        assert.deepEqual(await world.broker.readValue({ key: "k" }), {
          value: { key: "k", value: "2", version: passing.version, updatedAt: now + 10, expiresAt: now + 1_010 },
        });
        assert.equal(passing.expiresAt, now + 1_010);
        assert.ok(!("expiresAt" in kept));
      },
    },
    {
      name: "keys and values may hold whatever text there is",
      promises: [2],
      run: async (world) => {
        for (const any of ["with space", "{curly}", "nul \0 inside", "zwölf", "\u{1f512}", "%_*?[", "holdfast:own"]) {
          await write(world, any, any);
          assert.equal(await read(world, any), any);
          assert.deepEqual((await list(world, { limit: 10, prefix: any }))[0], [any]);
        }
      },
    },
    {
      name: "versions of a key ascend, also over a deletion and over the end of its time",
      promises: [1, 8],
      run: async (world) => {
        const versions: number[] = [];
        for (let round = 0; round < 3; round += 1) {
          versions.push((await write(world, "k", 1)).version, (await write(world, "k", 1)).version);
          assert.equal(await remove(world, "k"), true);
          versions.push((await write(world, "k", 1, { ttlMs: 100 })).version);
          await world.advance(100);
          await world.broker.purge({ limit: 100 });
        }
        assert.ok(versions.every((version) => Number.isInteger(version) && version >= 1));
        assert.deepEqual(
          versions,
          [...new Set(versions)].toSorted((left, right) => left - right),
        );
      },
    },
    {
      name: "a value is gone when its time is over, by the broker's clock",
      promises: [8, 9],
      run: async (world) => {
        await write(world, "k", 1, { ttlMs: 1_000 });
        await world.advance(999);
        assert.equal(await read(world, "k"), 1);
        await world.advance(1);
        assert.equal(await read(world, "k"), undefined);
        assert.deepEqual(await list(world, { limit: 10 }), [[], undefined]);
        assert.equal(await remove(world, "k"), false);
      },
    },
    {
      name: "every write says anew how long the value lives",
      promises: [8],
      run: async (world) => {
        await write(world, "k", 1, { ttlMs: 1_000 });
        await world.advance(600);
        await write(world, "k", 2, { ttlMs: 1_000 });
        await world.advance(600);
        assert.equal(await read(world, "k"), 2);
        await write(world, "k", 3, { ttlMs: null });
        await world.advance(1_000_000_000);
        assert.equal(await read(world, "k"), 3);
        await write(world, "k", 4, { ttlMs: 1 });
        await world.advance(1);
        assert.equal(await read(world, "k"), undefined);
      },
    },
    {
      name: "a write for one version is refused when another is there, and says which",
      promises: [1, 2],
      run: async (world) => {
        const first = await write(world, "k", 1);
        const second = await write(world, "k", 2, { ifVersion: first.version });
        await assert.rejects(
          () => write(world, "k", 3, { ifVersion: first.version }),
          (thrown: unknown) => {
            assert.ok(HoldfastError.is(thrown, "VERSION_CONFLICT"));
            assert.deepEqual(thrown.details, { key: "k", found: second.version, expected: first.version });
            return true;
          },
        );
        await refusedWith("VERSION_CONFLICT", () => write(world, "k", 3, { ifVersion: second.version + 1 }));
        assert.equal(await read(world, "k"), 2);
        await refusedWith("VERSION_CONFLICT", () => write(world, "none", 1, { ifVersion: first.version }));
        assert.equal(await read(world, "none"), undefined);
      },
    },
    {
      name: "version 0 stands for no value, also for one that was deleted or whose time is over",
      promises: [1, 8],
      run: async (world) => {
        await write(world, "k", 1, { ifVersion: 0 });
        await refusedWith("VERSION_CONFLICT", () => write(world, "k", 2, { ifVersion: 0 }));
        await remove(world, "k");
        const passing = await write(world, "k", 3, { ifVersion: 0, ttlMs: 100 });
        await world.advance(100);
        await refusedWith("VERSION_CONFLICT", () => write(world, "k", 4, { ifVersion: passing.version }));
        await write(world, "k", 5, { ifVersion: 0 });
        assert.equal(await read(world, "k"), 5);
      },
    },
    {
      name: "of many writes for one version one is taken",
      promises: [1],
      run: async (world) => {
        const { version } = await write(world, "k", "start");
        const results = await Promise.allSettled(
          ["a", "b", "c", "d", "e"].map((value) => write(world, "k", value, { ifVersion: version })),
        );
        assert.equal(results.filter((result) => result.status === "fulfilled").length, 1);
      },
    },
    {
      name: "twenty clients that count with compare-and-set lose no count",
      promises: [1],
      run: async (world) => {
        const count = async (): Promise<void> => {
          for (;;) {
            const { value } = await world.broker.readValue({ key: "count" });
            const next = value === undefined ? 1 : Number(value.value) + 1;
            try {
              await write(world, "count", next, { ifVersion: value?.version ?? 0 });
              return;
            } catch (thrown) {
              assert.ok(HoldfastError.is(thrown, "VERSION_CONFLICT"), String(thrown));
            }
          }
        };
        await Promise.all(Array.from({ length: 20 }, count));
        assert.equal(await read(world, "count"), 20);
      },
    },
    {
      name: "a write that names itself is answered as the first time, and changes nothing again",
      promises: [7],
      run: async (world) => {
        const named = { writeId: "w-1", ttlMs: 50_000 };
        const first = await write(world, "k", "mine", named);
        await world.advance(1_000);
        assert.deepEqual(await write(world, "k", "mine", named), first);
        assert.equal((await world.broker.readValue({ key: "k" })).value?.updatedAt, world.clock.now() - 1_000);
        const later = await write(world, "k", "another's");
        assert.deepEqual(await write(world, "k", "mine", named), first);
        assert.equal((await world.broker.readValue({ key: "k" })).value?.version, later.version);
        await remove(world, "k");
        assert.deepEqual(await write(world, "k", "mine", named), first);
        assert.equal(await read(world, "k"), undefined);
        await world.advance(WRITE_MEMORY_MS - 1_001);
        assert.deepEqual(await write(world, "k", "mine", named), first);
      },
    },
    {
      name: "a repeated write with a condition is not held against itself",
      promises: [7],
      run: async (world) => {
        const once = { writeId: "w-1", ifVersion: 0 };
        const first = await write(world, "k", 1, once);
        assert.deepEqual(await write(world, "k", 1, once), first);
        const next = { writeId: "w-2", ifVersion: first.version };
        const second = await write(world, "k", 2, next);
        assert.deepEqual(await write(world, "k", 2, next), second);
        assert.deepEqual(await Promise.all([write(world, "k", 1, once), write(world, "k", 2, next)]), [first, second]);
      },
    },
    {
      name: "a refused write is not remembered, and a name counts for its key only",
      promises: [7],
      run: async (world) => {
        const first = await write(world, "k", 1);
        await refusedWith("VERSION_CONFLICT", () => write(world, "k", 2, { writeId: "w", ifVersion: 0 }));
        await write(world, "k", 2, { writeId: "w", ifVersion: first.version });
        await write(world, "other", 3, { writeId: "w" });
        assert.deepEqual([await read(world, "k"), await read(world, "other")], [2, 3]);
      },
    },
    {
      name: "a write is forgotten when nobody can be sending it again",
      promises: [9],
      run: async (world) => {
        const first = await write(world, "k", 1, { writeId: "w" });
        await world.advance(WRITE_MEMORY_MS + 1);
        const second = await write(world, "k", 1, { writeId: "w" });
        assert.ok(second.version > first.version);
      },
    },
    {
      name: "a deletion may ask for a version, and repeated it changes nothing",
      promises: [1, 7],
      run: async (world) => {
        assert.equal(await remove(world, "k"), false);
        const first = await write(world, "k", 1);
        const second = await write(world, "k", 2);
        await refusedWith("VERSION_CONFLICT", () => remove(world, "k", first.version));
        await refusedWith("VERSION_CONFLICT", () => remove(world, "k", 0));
        assert.equal(await read(world, "k"), 2);
        assert.equal(await remove(world, "k", second.version), true);
        assert.equal(await remove(world, "k", second.version), false);
        await write(world, "k", 3);
        assert.equal(await remove(world, "k"), true);
        assert.equal(await read(world, "k"), undefined);
      },
    },
    {
      name: "values are listed by the code units of their keys, page by page",
      promises: [9],
      run: async (world) => {
        // U+FF5E stands before U+1F512 by code points, and after it by code units.
        const keys = ["a", "a/1", "a/2", "a/\u{1f512}", "a/\uff5e", "a/\uffff", "b"];
        for (const key of keys.toReversed()) await write(world, key, `of ${key}`);
        await write(world, "a/3", "gone", { ttlMs: 10 });
        await write(world, "a/4", "gone");
        await remove(world, "a/4");
        await world.advance(10);
        assert.deepEqual(await list(world, { limit: 10 }), [keys, undefined]);
        assert.deepEqual(await list(world, { limit: 7 }), [keys, undefined]);
        assert.deepEqual(await list(world, { limit: 2, prefix: "a" }), [["a", "a/1"], "a/1"]);
        assert.deepEqual(await list(world, { limit: 2, prefix: "a/", after: "a/1" }), [
          ["a/2", "a/\u{1f512}"],
          "a/\u{1f512}",
        ]);
        assert.deepEqual(await list(world, { limit: 2, prefix: "a/", after: "a/\u{1f512}" }), [
          ["a/\uff5e", "a/\uffff"],
          undefined,
        ]);
        assert.deepEqual(await list(world, { limit: 2, prefix: "a/\uffff" }), [["a/\uffff"], undefined]);
        assert.deepEqual(await list(world, { limit: 2, prefix: "c" }), [[], undefined]);
        assert.deepEqual(await list(world, { limit: 2, prefix: "a/", after: "b" }), [[], undefined]);
        assert.deepEqual((await list(world, { limit: 9, prefix: "a/", after: "0" }))[0], keys.slice(1, 6));
        const [one] = (await world.broker.listValues({ limit: 1, prefix: "b" })).values;
        assert.deepEqual(one, (await world.broker.readValue({ key: "b" })).value);
      },
    },
    {
      name: "a page of values ends with the one whose text reaches the greatest size of a reply",
      promises: [9],
      run: async (world) => {
        const keys = Array.from({ length: 18 }, (_, index) => `k${String(index).padStart(2, "0")}`);
        const value = text(MAX_PAYLOAD);
        for (const key of keys) await world.broker.writeValue({ key, value, ttlMs: null });
        const full = MAX_REPLY_PAYLOAD / MAX_PAYLOAD;
        assert.deepEqual(await list(world, { limit: 100 }), [keys.slice(0, full), keys[full - 1]]);
        assert.deepEqual(await list(world, { limit: 100, after: keys[full - 1] ?? "" }), [keys.slice(full), undefined]);
        assert.deepEqual(await list(world, { limit: 100, after: keys[1] ?? "" }), [keys.slice(2), undefined]);
      },
    },
    {
      name: "what is no key, no version and no time to live is refused, and a value has a greatest size",
      promises: [9],
      run: async (world) => {
        for (const key of ["", "x".repeat(513), "half \ud800"])
          await refusedWith("INVALID_REQUEST", () => write(world, key, 1));
        const wrong: readonly Changes[] = [
          { ttlMs: 0 },
          { ttlMs: 1.5 },
          { ifVersion: -1 },
          { writeId: "" },
          { writeId: "x".repeat(513) },
        ];
        for (const changes of wrong) await refusedWith("INVALID_REQUEST", () => write(world, "k", 1, changes));
        await refusedWith("INVALID_REQUEST", () => world.broker.listValues({ limit: 1_001 }));
        await refusedWith("INVALID_REQUEST", () => world.broker.listValues({ limit: 0 }));
        const value = text(MAX_PAYLOAD + 1);
        await refusedWith("PAYLOAD_TOO_LARGE", () => world.broker.writeValue({ key: "k", value, ttlMs: null }));
        assert.deepEqual(await list(world, { limit: 10 }), [[], undefined]);
      },
    },
    {
      name: "purging deletes what is over, a bounded number at a time, and nothing else",
      promises: [9],
      run: async (world) => {
        for (let index = 0; index < 7; index += 1) await write(world, `old-${index}`, 1, { ttlMs: 1_000 });
        await write(world, "kept", 1);
        await write(world, "young", 1, { ttlMs: 2_000, writeId: "w" });
        assert.equal((await world.broker.purge({ limit: 2 })).handled, 0);
        await world.advance(1_000);
        let handled = 0;
        for (let more = true, rounds = 0; more; rounds += 1) {
          assert.ok(rounds < 50, "purging gets to an end");
          const reply = await world.broker.purge({ limit: 2 });
          assert.ok(reply.handled <= 2);
          handled += reply.handled;
          ({ more } = reply);
        }
        assert.equal(handled, 7);
        assert.deepEqual((await list(world, { limit: 10 }))[0], ["kept", "young"]);
        await world.advance(1_000);
        assert.equal((await world.broker.purge({ limit: 10 })).handled, 1);
        await world.advance(WRITE_MEMORY_MS);
        for (let more = true; more;) ({ more } = await world.broker.purge({ limit: 10 }));
        assert.equal((await world.broker.purge({ limit: 10 })).handled, 0);
        assert.deepEqual((await list(world, { limit: 10 }))[0], ["kept"]);
      },
    },
  ],
};
