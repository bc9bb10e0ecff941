/**
 * About how long a graph takes with so many slots: a list schedule, played through. Whenever a slot
 * is free, the best of the ready nodes takes it; nothing waits on purpose. That is what a broker does
 * with the tasks of a workflow, but for the time that its own work takes.
 */
import { Heap } from "../../util/heap.ts";
import { remainingWays } from "./analysis.ts";
import type { Capacity } from "./bounds.ts";
import { type Graph, linkCount } from "./links.ts";
import { placesOf } from "./order.ts";
import type { NodeProgress } from "./progress.ts";

export interface ListScheduleParams {
  /** Of what is left to run, where there is progress (leftToRunMs). */
  readonly durationsMs: ArrayLike<number>;
  readonly capacity: Capacity;
  /** `rank`: the longest remaining way first. `fifo`: who became ready first. Among equals the lowest index. */
  readonly by: "rank" | "fifo";
  /** Ranks in place of the lengths of the remaining ways. */
  readonly ranks?: ArrayLike<number>;
  readonly progressOf?: (node: number) => NodeProgress;
}

export interface ListSchedule {
  /** Infinity: some nodes never start, because their pool has no slots. */
  readonly makespanMs: number;
  /** Infinity for nodes that never start. */
  readonly startMs: Float64Array;
}

export function listSchedule(graph: Graph, params: ListScheduleParams): ListSchedule {
  return new Play(graph, params).run();
}

interface PoolInPlay {
  free: number;
  readonly ready: Heap<number>;
}

class Play {
  readonly #graph: Graph;
  readonly #params: ListScheduleParams;
  readonly #startMs: Float64Array;
  readonly #endMs: Float64Array;
  readonly #waitsFor: Int32Array;
  readonly #pools = new Map<string, PoolInPlay>();
  /** Whose turn it is among the ready: the lowest. With `fifo` given out as nodes become ready. */
  readonly #turns: Int32Array;
  readonly #running: Heap<number>;
  #freeSlots: number;
  #turn = 0;
  #ended = 0;
  #makespanMs = 0;

  constructor(graph: Graph, params: ListScheduleParams) {
    const { by, ranks, durationsMs, capacity } = params;
    this.#graph = graph;
    this.#params = params;
    this.#startMs = new Float64Array(graph.nodes).fill(Infinity);
    this.#endMs = new Float64Array(graph.nodes);
    this.#waitsFor = Int32Array.from({ length: graph.nodes }, (_, node) => linkCount(graph.parents, node));
    this.#turns = by === "fifo" ? new Int32Array(graph.nodes) : placesOf(ranks ?? remainingWays(graph, durationsMs));
    this.#running = new Heap((node) => this.#endMs[node] as number);
    this.#freeSlots = capacity.slots ?? Infinity;
  }

  run(): ListSchedule {
    this.#begin();
    this.#startReady(0);
    for (let next = this.#running.peek(); next !== undefined; next = this.#running.peek()) {
      const nowMs = this.#endMs[next] as number;
      this.#endDue(nowMs);
      this.#startReady(nowMs);
    }
    const isWhole = this.#ended === this.#graph.nodes;
    return { makespanMs: isWhole ? this.#makespanMs : Infinity, startMs: this.#startMs };
  }

  /** What is done has ended before the start, what runs has its slot. */
  #begin(): void {
    const ready: number[] = [];
    const { progressOf = (): NodeProgress => ({ state: "waiting" }) } = this.#params;
    const states = Array.from({ length: this.#graph.nodes }, (_, node) => progressOf(node).state);
    states.forEach((state, node) => {
      if (state === "running") this.#start(node, 0);
      else if (state === "done") {
        this.#startMs[node] = 0;
        this.#end(node);
      }
    });
    states.forEach((state, node) => {
      if (state === "waiting" && this.#waitsFor[node] === 0) ready.push(node);
    });
    this.#makeReady(ready);
  }

  /** Frees the slots of all that end now, before any is taken again. */
  #endDue(nowMs: number): void {
    const ready: number[] = [];
    for (let node = this.#running.peek(); node !== undefined; node = this.#running.peek()) {
      if (this.#endMs[node] !== nowMs) break;
      this.#running.pop();
      this.#freeSlots += 1;
      this.#poolOf(node).free += 1;
      for (const child of this.#end(node)) if (this.#startMs[child] === Infinity) ready.push(child);
    }
    this.#makespanMs = nowMs;
    this.#makeReady(ready.sort((a, b) => a - b));
  }

  /** Returns the children that wait for nothing more. */
  #end(node: number): readonly number[] {
    this.#ended += 1;
    const { starts, ends } = this.#graph.children;
    const free: number[] = [];
    for (let edge = starts[node] as number; edge < (starts[node + 1] as number); edge += 1) {
      const child = ends[edge] as number;
      const left = (this.#waitsFor[child] as number) - 1;
      this.#waitsFor[child] = left;
      if (left === 0) free.push(child);
    }
    return free;
  }

  #makeReady(nodes: readonly number[]): void {
    for (const node of nodes) {
      if (this.#params.by === "fifo") {
        this.#turns[node] = this.#turn;
        this.#turn += 1;
      }
      this.#poolOf(node).ready.push(node);
    }
  }

  #startReady(nowMs: number): void {
    while (this.#freeSlots > 0) {
      let best: PoolInPlay | undefined;
      for (const pool of this.#pools.values())
        if (pool.free > 0 && this.#firstTurn(pool) < this.#firstTurn(best)) best = pool;
      const node = best?.ready.pop();
      if (node === undefined) return;
      this.#start(node, nowMs);
    }
  }

  #firstTurn(pool: PoolInPlay | undefined): number {
    const node = pool?.ready.peek();
    return node === undefined ? Infinity : (this.#turns[node] as number);
  }

  #start(node: number, nowMs: number): void {
    this.#startMs[node] = nowMs;
    this.#endMs[node] = nowMs + (this.#params.durationsMs[node] as number);
    this.#freeSlots -= 1;
    this.#poolOf(node).free -= 1;
    this.#running.push(node);
  }

  #poolOf(node: number): PoolInPlay {
    const { pools, poolSlots } = this.#params.capacity;
    const name = pools?.[node] ?? "";
    const known = this.#pools.get(name);
    if (known !== undefined) return known;
    const free = poolSlots?.get(name) ?? Infinity;
    const pool = { free, ready: new Heap<number>((ready) => this.#turns[ready] as number) };
    this.#pools.set(name, pool);
    return pool;
  }
}
