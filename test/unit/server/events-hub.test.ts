import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { FROM_NOW } from "../../../src/broker/contract.ts";
import { HoldfastError } from "../../../src/errors/index.ts";
import { EventHub, HEARTBEAT_MS, type HubLimits } from "../../../src/server/events/hub.ts";
import { STALLED_AFTER_MS } from "../../../src/server/events/reader.ts";
import { EventLog } from "../../support/event-log.ts";
import { seededRandom } from "../../support/seeded-random.ts";
import { parseSse, SseReader } from "../../support/sse.ts";
import { turnsOfTheLoop, VirtualClock } from "../../support/virtual-clock.ts";

class HubWorld {
  readonly clock = new VirtualClock(() => turnsOfTheLoop(8));
  readonly log = new EventLog(this.clock);
  readonly closing = new AbortController();
  readonly hub: EventHub;

  constructor(limits: Partial<HubLimits> = {}) {
    this.hub = new EventHub({ broker: this.log, clock: this.clock, closing: this.closing.signal }, limits);
  }

  async read(
    executionId: string | undefined,
    cursor: number,
    how: { readonly paused?: boolean; readonly signal?: AbortSignal } = {},
  ): Promise<SseReader> {
    const signal = how.signal ?? new AbortController().signal;
    const stream = await this.hub.open({ ...(executionId === undefined ? {} : { executionId }), cursor, signal });
    return new SseReader(stream, how);
  }

  settle(): Promise<void> {
    return this.clock.advance(0);
  }

  cursors(executionId?: string, after = 0): readonly number[] {
    return this.log
      .all(executionId)
      .map(({ cursor }) => cursor)
      .filter((cursor) => cursor > after);
  }
}

describe("the hub: what readers hear", () => {
  it("tells what was and what comes, in order, once", async () => {
    const world = new HubWorld();
    world.log.tellTask("x", 1);
    world.log.tellTask("other", 1);
    const reader = await world.read("x", 0);
    await world.settle();
    world.log.tellTask("x", 2);
    world.log.tellTask("other", 2);
    await world.settle();
    assert.deepEqual(reader.cursors, world.cursors("x"));
    assert.equal(reader.cursors.length, 2);
    assert.deepEqual(JSON.parse(reader.events[0]?.data ?? ""), JSON.parse(JSON.stringify(world.log.all("x")[0])));
    assert.equal(reader.events[0]?.event, "tasks");
    assert.match(reader.text, /^retry: \d+\n/);
  });

  it("begins after a cursor, or with what is to come", async () => {
    const world = new HubWorld();
    const first = world.log.tellTask("x", 1);
    world.log.tellTask("y", 2);
    const later = await world.read(undefined, first.cursor);
    const now = await world.read(undefined, FROM_NOW);
    await world.settle();
    const next = world.log.tellTask("x", 3);
    await world.settle();
    assert.deepEqual(later.cursors, world.cursors(undefined, first.cursor));
    assert.deepEqual(now.cursors, [next.cursor]);
    // Whoever loses the connection before the first event comes back to the same place.
    assert.match(now.text, new RegExp(`id: ${world.cursors().at(-2)}\n`));
  });

  it("tells the end of an execution and ends, when all was told", async () => {
    const world = new HubWorld();
    world.log.tellTask("x", 1);
    const reader = await world.read("x", 0);
    await world.settle();
    const last = world.log.end("x", "failed");
    await world.settle();
    assert.ok(reader.hasEnded);
    assert.deepEqual(reader.cursors, world.cursors("x"));
    const end = reader.events.at(-1);
    assert.equal(end?.event, "end");
    assert.deepEqual(JSON.parse(end.data), { executionId: "x", state: "failed", cursor: last.cursor });
    assert.equal(world.hub.topics, 0);
  });

  it("tells the end at once to whoever comes after it", async () => {
    const world = new HubWorld();
    world.log.tellTask("x", 1);
    const last = world.log.end("x");
    const [all, none] = [await world.read("x", 0), await world.read("x", last.cursor)];
    await world.settle();
    assert.deepEqual(all.cursors, world.cursors("x"));
    assert.deepEqual(none.cursors, []);
    assert.ok(all.hasEnded && none.hasEnded);
  });

  it("goes on with an execution that runs again", async () => {
    const world = new HubWorld();
    world.log.end("x", "failed");
    world.log.tell("x", { kind: "execution", state: "running" });
    const reader = await world.read("x", 0);
    await world.settle();
    assert.ok(!reader.hasEnded);
    world.log.tellTask("x", 1);
    world.log.end("x");
    await world.settle();
    assert.ok(reader.hasEnded);
    assert.deepEqual(reader.cursors, world.cursors("x"));
  });

  it("says of an execution that is deleted meanwhile that it is gone", async () => {
    const world = new HubWorld();
    world.log.tellTask("x", 1);
    const reader = await world.read("x", 0);
    await world.settle();
    world.log.purge("x");
    await world.settle();
    assert.ok(reader.hasEnded);
    assert.equal((JSON.parse(reader.events.at(-1)?.data ?? "") as { state: string }).state, "gone");
  });

  it("refuses an execution that is not there, and remembers nothing of it", async () => {
    const world = new HubWorld();
    await assert.rejects(world.read("none", 0), { code: "EXECUTION_NOT_FOUND" });
    assert.deepEqual([world.hub.readers, world.hub.topics], [0, 0]);
  });

  it("passes over events that are no longer kept", async () => {
    const world = new HubWorld({ recentBytes: 1 });
    for (let task = 0; task < 5; task += 1) world.log.tellTask("old", task);
    world.log.purge("old");
    const reader = await world.read(undefined, 1);
    await world.settle();
    const next = world.log.tellTask("x", 1);
    await world.settle();
    assert.deepEqual(reader.cursors, [next.cursor]);
  });
});

describe("the hub: the seam between what was and what comes", () => {
  it("misses nothing and repeats nothing, whenever a reader comes and however slow it is", async () => {
    const runs = fc.asyncProperty(fc.integer(), fc.integer({ min: 1, max: 6 }), async (seed, pageSize) => {
      const world = new HubWorld({ pageSize, recentBytes: 600 });
      const random = seededRandom(seed);
      const readers: { readonly reader: SseReader; readonly after: number }[] = [];
      for (let step = 0; step < 60; step += 1) {
        const dice = random();
        if (dice < 0.6) world.log.tellTask(random() < 0.8 ? "x" : "y", step);
        else if (dice < 0.7) world.log.tell("x", { kind: "execution", state: "running" });
        else if (dice < 0.8) {
          const after = Math.floor(random() * (world.log.cursor + 1));
          readers.push({ after, reader: await world.read(undefined, after, { paused: random() < 0.3 }) });
        } else if (dice < 0.9) await turnsOfTheLoop(1);
        else for (const { reader } of readers) if (random() < 0.5) reader.go();
      }
      for (const { reader } of readers) reader.go();
      await world.clock.advance(1_000);
      for (const { reader, after } of readers) {
        assert.deepEqual(reader.cursors, world.cursors(undefined, after));
      }
      world.closing.abort();
    });
    await fc.assert(runs, { numRuns: 60 });
  });
});

describe("the hub: many readers", () => {
  it("follows once and prints once for all of them", async () => {
    const world = new HubWorld();
    world.log.tellTask("x", 0);
    const readers = await Promise.all(Array.from({ length: 500 }, () => world.read("x", 0)));
    await world.settle();
    assert.equal(world.hub.readers, 500);
    assert.equal(world.log.waits, 1);
    world.log.printed = 0;
    const readsBefore = world.log.reads;
    for (let task = 1; task <= 20; task += 1) world.log.tellTask("x", task);
    await world.settle();
    assert.equal(world.log.printed, 20);
    assert.ok(world.log.reads - readsBefore < 3, `${world.log.reads - readsBefore} reads`);
    const expected = world.cursors("x");
    for (const reader of readers) assert.deepEqual(reader.cursors, expected);
  });

  it("tells at once what comes after a silence, and then as much together as there are readers", async () => {
    const world = new HubWorld();
    world.log.tellTask("x", 0);
    const readers = await Promise.all(Array.from({ length: 500 }, () => world.read("x", world.log.cursor)));
    await world.settle();
    const [reader] = readers;
    assert.ok(reader !== undefined);
    const pieces: number[] = [];
    reader.stream.on("data", (piece: Buffer) => pieces.push(parseSse(piece.toString()).events.length));
    for (let task = 1; task <= 100; task += 1) {
      world.log.tellTask("x", task);
      await world.clock.advance(1);
    }
    await world.clock.advance(1_000);
    // 500 readers let 50 ms pass between two writes.
    assert.deepEqual([pieces[0], pieces.length], [1, 3]);
    assert.equal(reader.cursors.length, 100);
  });

  it("shares the reads of those who begin at the same place", async () => {
    const world = new HubWorld();
    for (let task = 0; task < 50; task += 1) world.log.tellTask("x", task);
    const readers = await Promise.all(Array.from({ length: 200 }, () => world.read("x", 0)));
    await world.settle();
    assert.ok(world.log.reads < 10, `${world.log.reads} reads`);
    for (const reader of readers) assert.equal(reader.cursors.length, 50);
  });

  it("takes no more than it is made for", async () => {
    const world = new HubWorld({ maxReaders: 2 });
    world.log.tellTask("x", 0);
    const [first] = [await world.read("x", 0), await world.read("x", 0)];
    await assert.rejects(world.read("x", 0), { code: "RATE_LIMITED" });
    first.stream.destroy();
    await world.settle();
    await world.read("x", 0);
  });
});

describe("the hub: slow readers", () => {
  it("keeps nothing for one that is behind, and it misses nothing", async () => {
    const world = new HubWorld({ recentBytes: 2_000, pageSize: 50 });
    world.log.tellTask("x", 0);
    const slow = await world.read("x", 0, { paused: true });
    const quick = await world.read("x", 0);
    for (let task = 1; task <= 20_000; task += 1) {
      world.log.tellTask("x", task);
      if (task % 500 === 0) await world.settle();
    }
    await world.settle();
    assert.equal(quick.cursors.length, 20_001);
    assert.ok(slow.stream.readableLength < 100_000, `${slow.stream.readableLength} bytes wait`);
    slow.go();
    await world.clock.advance(1_000);
    assert.deepEqual(slow.cursors, quick.cursors);
  });

  it("cuts off one that takes nothing; it comes back with its cursor", async () => {
    const world = new HubWorld();
    for (let task = 0; task < 3_000; task += 1) world.log.tellTask("x", task);
    const stuck = await world.read("x", 0, { paused: true });
    await world.clock.advance(STALLED_AFTER_MS - HEARTBEAT_MS);
    assert.ok(!stuck.isClosed);
    await world.clock.advance(2 * HEARTBEAT_MS);
    assert.ok(stuck.isClosed);
    assert.equal(world.hub.readers, 0);
  });
});

describe("the hub: coming and going", () => {
  it("shows that it lives every now and then", async () => {
    const world = new HubWorld();
    const reader = await world.read(undefined, FROM_NOW);
    await world.clock.advance(HEARTBEAT_MS - 1);
    assert.equal(reader.comments, 0);
    await world.clock.advance(1);
    assert.equal(reader.comments, 1);
    await world.clock.advance(2 * HEARTBEAT_MS);
    assert.equal(reader.comments, 3);
  });

  it("frees everything of a reader that goes away", async () => {
    const world = new HubWorld();
    world.log.tellTask("x", 1);
    const gone = new AbortController();
    const reader = await world.read("x", 0, { signal: gone.signal });
    await world.settle();
    gone.abort();
    await world.settle();
    assert.ok(reader.isClosed);
    assert.equal(world.hub.readers, 0);
    // The read that is under way is the last one.
    await world.clock.advance(10_000);
    assert.equal(world.hub.topics, 0);
    assert.equal(world.clock.waiting, 0);
    assert.equal(world.log.waits, 0);
  });

  it("lets everybody go when the server ends", async () => {
    const world = new HubWorld();
    world.log.tellTask("x", 1);
    const readers = [await world.read("x", 0), await world.read(undefined, 0)];
    await world.settle();
    world.closing.abort();
    await world.settle();
    assert.ok(readers.every((reader) => reader.hasEnded));
    assert.ok(readers.every((reader) => reader.events.every(({ event }) => event !== "end")));
    assert.equal(world.hub.readers, 0);
  });

  it("goes on after the broker could not be reached, and misses nothing", async () => {
    const world = new HubWorld();
    world.log.tellTask("x", 1);
    const reader = await world.read("x", 0);
    await world.settle();
    world.log.broken = new HoldfastError("BROKER_UNREACHABLE", { url: "x", problem: "test" });
    world.log.tellTask("x", 2);
    await world.clock.advance(5_000);
    assert.equal(reader.cursors.length, 1);
    world.log.broken = undefined;
    await world.clock.advance(1_000);
    assert.deepEqual(reader.cursors, world.cursors("x"));
  });

  it("cuts its readers when the broker is closed", async () => {
    const world = new HubWorld();
    world.log.tellTask("x", 1);
    const reader = await world.read("x", 0);
    await world.settle();
    world.log.broken = new HoldfastError("BROKER_CLOSED");
    world.log.tellTask("x", 2);
    await world.settle();
    assert.ok(reader.hasEnded);
    assert.equal(world.hub.readers, 0);
  });
});
