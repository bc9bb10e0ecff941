/**
 * The order in which one pool's ready work is handed out (promise 5).
 *
 * Work is kept in buckets of equal priority and equal required capabilities. Within a bucket every
 * execution has one entry, and entries take turns, so executions share fairly however much each of
 * them has waiting. Within an entry its lanes (task groups) are served first in, first out; if tasks
 * of any of them have ranks, the lane whose best task has the highest.
 *
 * An execution whose work was lost with a worker has the next turn of its bucket: that work had its
 * turn before.
 *
 * Between buckets the effective priority decides: the priority plus one step for every `ageingMs`
 * that the bucket's longest waiting entry has not been served, up to 10. At the same effective
 * priority the one that waited longest goes first. So urgent work is first, and nothing waits for ever.
 */
import { Heap } from "../util/heap.ts";

export interface RankedTask {
  readonly task: number;
  readonly rank: number;
}

/** Where an entry's work comes from; what it is, is the owner's business. */
export interface ReadyLane {
  readonly executionKey: number;
  readonly priority: number;
  readonly requires: readonly string[];
  /** Its tasks have ranks if this is there. */
  readonly ranked: object | undefined;
  /** The best of its ready tasks; for a lane without ranks its first one, with rank 0. */
  readonly best: RankedTask | undefined;
}

interface Entry<L extends ReadyLane> {
  readonly executionKey: number;
  readonly lanes: Set<L>;
  /** As soon as a lane has ranks. */
  ranking: Ranking<L> | undefined;
  waitingSince: number;
  /** Number of its last turn. */
  lastTurn: number;
}

interface Bucket<L extends ReadyLane> {
  readonly key: string;
  readonly priority: number;
  readonly requires: readonly string[];
  /** In the order of their turns; the head is the one that waited longest. */
  readonly turns: Turns<Entry<L>>;
  readonly byExecution: Map<number, Entry<L>>;
}

const MAX_PRIORITY = 10;
/** Leases an entry may give in one turn before others have theirs: fewer would cost a turn's work per lease. */
const MIN_QUOTA = 16;

/** A lane to take from, and how many leases it may give before others have their turn. */
export interface Turn<L> {
  readonly lane: L;
  readonly quota: number;
  /**
   * Where lanes have ranks: the lane that is to be served now, after something was taken. Undefined
   * where they have none, or nothing is left: the turn is over with its lane.
   */
  readonly best: () => L | undefined;
}

export class ReadyQueue<L extends ReadyLane> {
  readonly #buckets = new Map<string, Bucket<L>>();
  readonly #ageingMs: number;

  constructor(ageingMs: number) {
    this.#ageingMs = ageingMs;
  }

  get isEmpty(): boolean {
    return this.#buckets.size === 0;
  }

  /** Adds a lane that has work. A lane that is in already keeps its place. */
  add(lane: L, now: number): void {
    const key = bucketKey(lane);
    let bucket = this.#buckets.get(key);
    if (bucket === undefined) {
      bucket = { key, priority: lane.priority, requires: lane.requires, turns: new Turns(), byExecution: new Map() };
      this.#buckets.set(key, bucket);
    }
    let entry = bucket.byExecution.get(lane.executionKey);
    if (entry === undefined) {
      entry = {
        executionKey: lane.executionKey,
        lanes: new Set(),
        ranking: undefined,
        waitingSince: now,
        lastTurn: 0,
      };
      bucket.byExecution.set(lane.executionKey, entry);
      bucket.turns.push(entry);
    }
    entry.lanes.add(lane);
    if (entry.ranking !== undefined) entry.ranking.show(lane);
    else if (lane.ranked !== undefined) entry.ranking = new Ranking(entry.lanes);
  }

  /** The lane's execution has the next turn among its equals: its work was lost with a worker, and has waited before. */
  recall(lane: L): void {
    const bucket = this.#buckets.get(bucketKey(lane));
    const entry = bucket?.byExecution.get(lane.executionKey);
    if (entry?.lanes.has(lane) === true) bucket?.turns.toFront(entry);
  }

  /** Takes a lane out: it has no work left, or its execution is paused or ended. */
  remove(lane: L): void {
    const bucket = this.#buckets.get(bucketKey(lane));
    const entry = bucket?.byExecution.get(lane.executionKey);
    if (bucket === undefined || entry === undefined) return;
    entry.lanes.delete(lane);
    entry.ranking?.forget(lane);
    if (entry.lanes.size > 0) return;
    bucket.byExecution.delete(lane.executionKey);
    bucket.turns.delete(entry);
    if (bucket.byExecution.size === 0) this.#buckets.delete(bucket.key);
  }

  /** For `nextTurn`. */
  get buckets(): Iterable<Bucket<L>> {
    return this.#buckets.values();
  }

  /** For `nextTurn`: the priority that counts now. */
  effectivePriority(priority: number, waitedMs: number): number {
    return Math.min(MAX_PRIORITY, priority + Math.floor(waitedMs / this.#ageingMs));
  }
}

export interface Claimant {
  readonly capabilities: ReadonlySet<string>;
  /** Leases that it still wants. */
  readonly wanted: number;
  readonly now: number;
  /** Ascending from call to call, over all queues. */
  readonly turn: number;
}

/**
 * The lane whose turn it is for a worker that serves these queues. Its entry goes to the end of its
 * bucket's turns.
 */
export function nextTurn<L extends ReadyLane>(
  queues: readonly ReadyQueue<L>[],
  claimant: Claimant,
): Turn<L> | undefined {
  const { capabilities, wanted, now, turn } = claimant;
  let best: Bucket<L> | undefined;
  let bestHead: Entry<L> | undefined;
  let bestPriority = 0;
  let rivals = 0;
  for (const queue of queues) {
    for (const bucket of queue.buckets) {
      const head = hasAll(capabilities, bucket.requires) ? bucket.turns.head() : undefined;
      if (head === undefined) continue;
      const priority = queue.effectivePriority(bucket.priority, now - head.waitingSince);
      if (bestHead !== undefined && priority < bestPriority) continue;
      const isAbove = bestHead === undefined || priority > bestPriority;
      rivals = bucket.byExecution.size + (isAbove ? 0 : rivals);
      if (isAbove || bestHead === undefined || waitedLonger(head, bestHead)) {
        best = bucket;
        bestHead = head;
      }
      bestPriority = priority;
    }
  }
  const entry = best?.turns.rotate();
  const lane = entry === undefined ? undefined : laneOf(entry);
  if (entry === undefined || lane === undefined) return undefined;
  entry.waitingSince = now;
  entry.lastTurn = turn;
  return { lane, quota: Math.max(MIN_QUOTA, Math.ceil(wanted / rivals)), best: () => entry.ranking?.best() };
}

/** The lane of the entry that is served first. */
function laneOf<L extends ReadyLane>({ ranking, lanes }: Entry<L>): L | undefined {
  return ranking === undefined ? first(lanes) : ranking.best();
}

type Waited = Pick<Entry<ReadyLane>, "waitingSince" | "lastTurn">;

function waitedLonger(one: Waited, other: Waited): boolean {
  return (
    one.waitingSince < other.waitingSince || (one.waitingSince === other.waitingSince && one.lastTurn < other.lastTurn)
  );
}

/** A lane as it was when it was put in its place. */
interface Place<L> extends RankedTask {
  readonly lane: L;
}

/**
 * Lanes in the order of their best tasks. A lane whose best task got worse keeps its place until it
 * comes to the top, and is put into its right one then; one that got better must be shown again.
 */
class Ranking<L extends ReadyLane> {
  readonly #lanes: ReadonlySet<L>;
  readonly #places = new Heap<Place<L>>(
    ({ rank }) => -rank,
    ({ task }) => task,
  );
  /** Where each lane was put last. */
  readonly #last = new Map<L, RankedTask>();

  constructor(lanes: ReadonlySet<L>) {
    this.#lanes = lanes;
    for (const lane of lanes) this.show(lane);
  }

  show(lane: L): void {
    const { best } = lane;
    if (best === undefined || isSame(best, this.#last.get(lane))) return;
    this.#last.set(lane, best);
    this.#places.push({ lane, task: best.task, rank: best.rank });
  }

  forget(lane: L): void {
    this.#last.delete(lane);
  }

  best(): L | undefined {
    for (let top = this.#places.peek(); top !== undefined; top = this.#places.peek()) {
      const { lane } = top;
      const isIn = this.#lanes.has(lane);
      if (isIn && isSame(top, lane.best)) return lane;
      this.#places.pop();
      if (isSame(top, this.#last.get(lane))) this.#last.delete(lane);
      if (isIn) this.show(lane);
    }
    return undefined;
  }
}

function isSame(one: RankedTask, other: RankedTask | undefined): boolean {
  return one.task === other?.task && one.rank === other.rank;
}

/** A queue of turns: push, look at the head, move the head to the end, move one to the front, take one out. */
class Turns<T> {
  readonly #set = new Set<T>();
  /** Before all others, in the order in which they came to the front. */
  readonly #front = new Set<T>();

  push(item: T): void {
    this.#set.add(item);
  }

  toFront(item: T): void {
    this.#set.delete(item);
    this.#front.add(item);
  }

  head(): T | undefined {
    return first(this.#front) ?? first(this.#set);
  }

  rotate(): T | undefined {
    const item = this.head();
    if (item !== undefined && (this.#set.size > 1 || this.#front.size > 0)) {
      this.delete(item);
      this.#set.add(item);
    }
    return item;
  }

  delete(item: T): void {
    this.#front.delete(item);
    this.#set.delete(item);
  }
}

function first<T>(items: ReadonlySet<T>): T | undefined {
  for (const item of items) return item;
  return undefined;
}

function bucketKey(lane: ReadyLane): string {
  return lane.requires.length === 0 ? String(lane.priority) : `${lane.priority}|${lane.requires.join("|")}`;
}

export function hasAll(have: ReadonlySet<string>, wanted: readonly string[]): boolean {
  for (const one of wanted) if (!have.has(one)) return false;
  return true;
}
