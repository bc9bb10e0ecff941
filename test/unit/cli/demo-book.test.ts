import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { BrokerEvent, EventChange, ResultRow } from "../../../src/broker/contract.ts";
import { ChunkLedger } from "../../../src/cli/demo/chunk-ledger.ts";
import { type Kill, takeAim, takeoverOf } from "../../../src/cli/demo/fault.ts";
import { problemsOf, ResultBook, type Findings } from "../../../src/cli/demo/proof.ts";

/** A book that has been told `changes`, each with its time. */
function ledgerOf(changes: readonly (readonly [at: number, change: EventChange])[]): ChunkLedger {
  const ledger = new ChunkLedger();
  changes.forEach(([at, change], position) => {
    const event: BrokerEvent = { cursor: position + 1, at, executionId: "e", change };
    ledger.apply(event);
  });
  return ledger;
}

function chunk(
  state: "running" | "completed" | "queued",
  start: number,
  worker?: string,
  reason?: string,
): EventChange {
  return {
    kind: "tasks",
    state,
    tasks: [[0, start, start + 10]],
    ...(worker === undefined ? {} : { worker }),
    ...(reason === undefined ? {} : { reason }),
  };
}

const halfDone: readonly (readonly [number, EventChange])[] = [
  [0, chunk("running", 0, "worker-1")],
  [100, chunk("completed", 0, "worker-1")],
  [100, chunk("running", 10, "worker-1")],
];

describe("the demo's book of chunks", () => {
  test("a worker runs its oldest chunk, since its last commit", () => {
    const ledger = ledgerOf([
      [0, chunk("running", 0, "worker-1")],
      [5, chunk("running", 10, "worker-1")],
      [100, chunk("completed", 0, "worker-1")],
    ]);
    assert.deepEqual(ledger.runningChunk("worker-1"), { task: 0, start: 10, end: 20, claimedAt: 5, since: 100 });
    assert.equal(ledger.typicalChunkMs(), 100);
    assert.equal(ledger.doneChunks, 1);
    assert.equal(ledger.donePoints, 10);
  });

  test("a chunk that was lost and runs elsewhere is a take-over; one handed back is not", () => {
    const lost = ledgerOf([
      ...halfDone,
      [150, chunk("queued", 10, undefined, "lost")],
      [160, chunk("running", 10, "worker-2")],
    ]);
    assert.deepEqual(lost.takeovers, [{ task: 0, start: 10, end: 20, from: "worker-1", to: "worker-2", at: 160 }]);
    const returned = ledgerOf([
      ...halfDone,
      [150, chunk("queued", 10, undefined, "returned")],
      [160, chunk("running", 10, "worker-2")],
    ]);
    assert.deepEqual(returned.takeovers, []);
  });

  test("a chunk told twice counts once", () => {
    const ledger = ledgerOf([...halfDone, [120, chunk("completed", 0, "worker-2")]]);
    assert.equal(ledger.doneChunks, 1);
    assert.equal(ledger.donePoints, 10);
  });
});

describe("aiming the fault", () => {
  const at = (now: number, totalChunks = 3): ReturnType<typeof takeAim> =>
    takeAim(ledgerOf(halfDone), { victim: "worker-1", totalChunks, now });

  test("waits for 30% of the chunks", () => {
    assert.deepEqual(at(150, 100), { kind: "wait" });
  });

  test("waits for the middle of the chunk, and lets a late moment pass", () => {
    assert.deepEqual(at(110), { kind: "soon", inMs: 23 });
    assert.equal(at(150).kind, "now");
    assert.deepEqual(at(190), { kind: "wait" });
  });

  test("only the chunk that was being computed counts as its take-over", () => {
    const aim = at(150);
    assert.ok(aim.kind === "now");
    const kill: Kill = { worker: "worker-1", pid: 1, chunk: aim.chunk, intoChunkMs: aim.intoChunkMs, at: 150 };
    const other = ledgerOf([
      ...halfDone,
      [140, chunk("running", 20, "worker-1")],
      [160, chunk("queued", 20, undefined, "lost")],
      [170, chunk("running", 20, "worker-2")],
    ]);
    assert.equal(takeoverOf(kill, other), undefined);
    const same = ledgerOf([
      ...halfDone,
      [160, chunk("queued", 10, undefined, "lost")],
      [170, chunk("running", 10, "worker-3")],
    ]);
    assert.equal(takeoverOf(kill, same)?.to, "worker-3");
  });
});

describe("the proof", () => {
  const row = (start: number, values: readonly unknown[], missing?: readonly number[]): ResultRow => ({
    task: 0,
    start,
    end: start + values.length,
    values: JSON.stringify(values),
    ...(missing === undefined ? {} : { missing }),
    worker: "worker-1",
    attempt: 1,
    durationMs: 1,
    at: 1,
  });

  test("counts distinct points, and what was stored twice", () => {
    const book = new ResultBook(4);
    book.add(row(0, [{ a: 1 }, null], [1]));
    book.add(row(1, [{ a: 2 }]));
    assert.deepEqual([book.distinct, book.duplicates], [2, 0]);
    book.add(row(1, [{ a: 3 }, { a: 4 }]));
    assert.deepEqual([book.distinct, book.duplicates], [3, 1]);
    assert.equal(book.textOf(1), '{"a":2}');
    assert.equal(book.textOf(3), undefined);
  });

  test("each thing that is wrong is a problem of its own", () => {
    const good: Findings = {
      points: 10,
      completed: 10,
      pending: 0,
      lost: 0,
      duplicateCommits: 0,
      takeovers: 1,
      identicalToSequential: true,
      firstDifference: undefined,
    };
    assert.deepEqual(problemsOf(good), []);
    assert.deepEqual(problemsOf({ ...good, takeovers: undefined }), []);
    for (const bad of [
      { pending: 1 },
      { lost: 1 },
      { duplicateCommits: 1 },
      { takeovers: 0 },
      { identicalToSequential: false, firstDifference: 3 },
    ]) {
      assert.equal(problemsOf({ ...good, ...bad }).length, 1);
    }
  });
});
