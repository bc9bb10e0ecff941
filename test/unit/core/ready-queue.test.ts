/** Whose turn it is: by ranks within an execution, in turns between executions. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { nextTurn, type RankedTask, type ReadyLane, ReadyQueue } from "../../../src/core/ready-queue.ts";

/** Ready tasks of one group, best first. */
class Lane implements ReadyLane {
  readonly executionKey: number;
  readonly priority = 5;
  readonly requires = [];
  readonly ranked: object | undefined;
  readonly #first: number;
  readonly #tasks: RankedTask[] = [];

  constructor(executionKey: number, first: number, isRanked = true) {
    this.executionKey = executionKey;
    this.#first = first;
    this.ranked = isRanked ? {} : undefined;
  }

  get best(): RankedTask | undefined {
    return this.ranked === undefined ? { task: this.#first, rank: 0 } : this.#tasks[0];
  }

  put(...tasks: readonly RankedTask[]): void {
    this.#tasks.push(...tasks);
    this.#tasks.sort(byRank);
  }

  take(): number | undefined {
    return this.#tasks.shift()?.task;
  }

  get isEmpty(): boolean {
    return this.#tasks.length === 0;
  }
}

function byRank(one: RankedTask, other: RankedTask): number {
  return other.rank - one.rank || one.task - other.task;
}

function ranked(...ranks: readonly (readonly [task: number, rank: number])[]): RankedTask[] {
  return ranks.map(([task, rank]) => ({ task, rank }));
}

function queueOf(...lanes: readonly Lane[]): ReadyQueue<Lane> {
  const queue = new ReadyQueue<Lane>(60_000);
  for (const lane of lanes) queue.add(lane, 0);
  return queue;
}

let turns = 0;

/** Takes up to `wanted` in one turn. */
function takeTurn(queue: ReadyQueue<Lane>, wanted: number): number[] {
  turns += 1;
  const turn = nextTurn([queue], { capabilities: new Set(), wanted, now: turns, turn: turns });
  const taken: number[] = [];
  for (let lane = turn?.lane; lane !== undefined && taken.length < wanted; lane = turn?.best()) {
    const task = lane.take();
    if (task !== undefined) taken.push(task);
    if (lane.isEmpty) queue.remove(lane);
  }
  return taken;
}

describe("lanes whose tasks have ranks", () => {
  it("are served by the best of them, within one turn too", () => {
    const [one, other] = [new Lane(1, 0), new Lane(1, 10)];
    one.put(...ranked([0, 9], [1, 3], [2, 5]));
    other.put(...ranked([10, 7], [11, 5], [12, 1]));
    const queue = queueOf(one, other);
    assert.deepEqual(takeTurn(queue, 3), [0, 10, 2]);
    assert.deepEqual(takeTurn(queue, 9), [11, 1, 12]);
    assert.ok(queue.isEmpty);
  });

  it("are found again when something better comes, or what was taken comes back", () => {
    const [one, other] = [new Lane(1, 0), new Lane(1, 10)];
    one.put(...ranked([0, 5], [1, 4]));
    other.put(...ranked([10, 3]));
    const queue = queueOf(one, other);
    assert.deepEqual(takeTurn(queue, 1), [0]);
    other.put(...ranked([11, 8]));
    queue.add(other, 1);
    one.put(...ranked([0, 5]));
    queue.add(one, 1);
    assert.deepEqual(takeTurn(queue, 9), [11, 0, 1, 10]);
  });

  it("leave turns between executions as they are", () => {
    const [high, low] = [new Lane(1, 0), new Lane(2, 0)];
    high.put(...Array.from({ length: 20 }, (_, task) => ({ task, rank: 100 })));
    low.put(...Array.from({ length: 20 }, (_, task) => ({ task: 50 + task, rank: 1 })));
    const queue = queueOf(high, low);
    const taken = Array.from({ length: 20 }, () => takeTurn(queue, 1)[0] ?? -1);
    assert.equal(taken.filter((task) => task >= 50).length, 10);
  });

  it("go before lanes without ranks, which keep their order", () => {
    const [plain, best] = [new Lane(1, 0, false), new Lane(1, 5)];
    plain.put(...ranked([0, 0]));
    best.put(...ranked([5, 1], [6, 2]));
    assert.deepEqual(takeTurn(queueOf(plain, best), 9), [6, 5, 0]);
  });

  it("give the best of all, whatever came and went before", () => {
    const puts = fc.array(fc.tuple(fc.nat(4), fc.nat(9)), { maxLength: 8 });
    const rounds = fc.array(fc.record({ puts, takes: fc.nat(6), again: fc.boolean() }), { maxLength: 12 });
    fc.assert(
      fc.property(rounds, (all) => {
        const lanes = [0, 1, 2, 3, 4].map((lane) => new Lane(1, lane * 1_000));
        const queue = queueOf();
        const waiting: RankedTask[] = [];
        let next = 0;
        for (const round of all) {
          for (const [lane, rank] of round.puts) {
            next += 1;
            const task = { task: lane * 1_000 + next, rank };
            waiting.push(task);
            lanes[lane]?.put(task);
            queue.add(lanes[lane] as Lane, 0);
          }
          const wanted = waiting.toSorted(byRank).slice(0, round.takes);
          const taken = takeTurn(queue, round.takes);
          assert.deepEqual(
            taken,
            wanted.map(({ task }) => task),
          );
          for (const one of wanted) waiting.splice(waiting.indexOf(one), 1);
          const [back] = wanted;
          if (!round.again || back === undefined) continue;
          const lane = lanes[Math.floor(back.task / 1_000)] as Lane;
          waiting.push(back);
          lane.put(back);
          queue.add(lane, 0);
        }
      }),
    );
  });
});
