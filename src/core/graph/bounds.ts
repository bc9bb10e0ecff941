/**
 * What no schedule can beat: the longest way, the work divided by those who do it, and the work that
 * must lie within a part of the run.
 *
 * The last one sees that twelve equal tasks take two turns on eight slots, and that what comes before
 * all of them and after all of them takes its time besides. Take tasks of which each starts no earlier
 * than `head` and has at least `tail` after it. Between the two they need their work divided by the
 * slots; and of the `k·slots + 1` longest of them, some slot runs `k + 1` or more one after the other,
 * no less than the `k + 1` shortest of those. Every such choice of tasks gives a bound; the largest of
 * many is taken.
 */
import type { Analysis } from "./analysis.ts";

/** Who runs the nodes. */
export interface Capacity {
  /** Nodes that run at the same time, whatever their pool. Default: any number. */
  readonly slots?: number;
  /** By pool; a pool that is not named may run any number. */
  readonly poolSlots?: ReadonlyMap<string, number>;
  /** Pool of each node; needed with `poolSlots`. */
  readonly pools?: readonly string[];
}

export interface MakespanBounds {
  readonly criticalPathMs: number;
  /** In sum. */
  readonly workMs: number;
  /** Work divided by all slots; 0 where their number is not known. */
  readonly workPerSlotMs: number;
  /** The pool of which the work, divided by its slots, is most; absent where no pool has a number. */
  readonly pool?: { readonly pool: string; readonly workPerSlotMs: number };
  /** By tasks that must lie within a part of the run, of all slots or a pool's. */
  readonly packedMs: number;
  /** The largest of all. */
  readonly lowerBoundMs: number;
}

export interface BoundsParams {
  readonly durationsMs: ArrayLike<number>;
  /** With the same durations. */
  readonly analysis: Analysis;
  readonly capacity: Capacity;
}

/** Looked at to find the largest bound: nodes times pairs of head and tail. */
const MAX_LOOKS = 2_000_000;
/** Heads, and tails, of one search. */
const MAX_POINTS = 64;

export function makespanBounds({ durationsMs, analysis, capacity }: BoundsParams): MakespanBounds {
  const { slots = Infinity, poolSlots = new Map<string, number>(), pools = [] } = capacity;
  const all = Array.from({ length: durationsMs.length }, (_, node) => node);
  const byPool = new Map<string, number[]>();
  for (const node of all) {
    const pool = pools[node];
    if (pool === undefined || !poolSlots.has(pool)) continue;
    const members = byPool.get(pool);
    if (members === undefined) byPool.set(pool, [node]);
    else members.push(node);
  }
  let fullest: MakespanBounds["pool"];
  let packedMs = packed({ nodes: all, slots, durationsMs, analysis });
  for (const [pool, nodes] of byPool) {
    const own = poolSlots.get(pool) ?? Infinity;
    const workPerSlotMs = shared(workOf(nodes, durationsMs), own);
    if (workPerSlotMs > (fullest?.workPerSlotMs ?? 0)) fullest = { pool, workPerSlotMs };
    packedMs = Math.max(packedMs, packed({ nodes, slots: own, durationsMs, analysis }));
  }
  const { criticalPathMs } = analysis;
  const workMs = workOf(all, durationsMs);
  const workPerSlotMs = shared(workMs, slots);
  return {
    criticalPathMs,
    workMs,
    workPerSlotMs,
    ...(fullest === undefined ? {} : { pool: fullest }),
    packedMs,
    lowerBoundMs: Math.max(criticalPathMs, workPerSlotMs, fullest?.workPerSlotMs ?? 0, packedMs),
  };
}

function workOf(nodes: readonly number[], durationsMs: ArrayLike<number>): number {
  return nodes.reduce((sum, node) => sum + (durationsMs[node] as number), 0);
}

/** No work needs no slots. */
function shared(workMs: number, slots: number): number {
  return workMs === 0 ? 0 : workMs / slots;
}

interface Packing {
  readonly nodes: readonly number[];
  readonly slots: number;
  readonly durationsMs: ArrayLike<number>;
  readonly analysis: Analysis;
}

function packed({ nodes, slots, durationsMs, analysis }: Packing): number {
  if (slots === 0 || nodes.length <= slots) return 0;
  const longestFirst = [...nodes].sort((a, b) => (durationsMs[b] as number) - (durationsMs[a] as number));
  const lengths = Float64Array.from(longestFirst, (node) => durationsMs[node] as number);
  const heads = Float64Array.from(longestFirst, (node) => analysis.earliestStartMs[node] as number);
  const tails = Float64Array.from(
    longestFirst,
    (node) => (analysis.remainingMs[node] as number) - (durationsMs[node] as number),
  );
  const points = Math.max(2, Math.min(MAX_POINTS, Math.floor(Math.sqrt(MAX_LOOKS / nodes.length))));
  const fromTails = pointsOf(tails, points);
  const members = { sums: new Float64Array(nodes.length + 1), count: 0 };
  let mostMs = 0;
  for (const fromHead of pointsOf(heads, points)) {
    for (const fromTail of fromTails) {
      // Sums of the chosen, longest first: what `count` of them take is a difference.
      members.count = 0;
      for (let at = 0; at < lengths.length; at += 1) {
        if ((heads[at] as number) < fromHead || (tails[at] as number) < fromTail) continue;
        members.sums[members.count + 1] = (members.sums[members.count] as number) + (lengths[at] as number);
        members.count += 1;
      }
      if (members.count > slots) mostMs = Math.max(mostMs, fromHead + fromTail + inTurns(members, slots));
    }
  }
  return mostMs;
}

function inTurns({ sums, count }: { readonly sums: Float64Array; readonly count: number }, slots: number): number {
  let mostMs = (sums[count] as number) / slots;
  for (let turns = 2; (turns - 1) * slots + 1 <= count; turns += 1) {
    const longest = (turns - 1) * slots + 1;
    mostMs = Math.max(mostMs, (sums[longest] as number) - (sums[longest - turns] as number));
  }
  return mostMs;
}

/** Different values, evenly spread over all there are. */
function pointsOf(values: Float64Array, most: number): readonly number[] {
  const different = [...new Set(values.toSorted())];
  if (different.length <= most) return different;
  return Array.from({ length: most }, (_, at) => different[Math.floor((at * different.length) / most)] as number);
}
