/**
 * Where the items of an array stand, put together from the places that hold them. Each item that was
 * carved must be in exactly one. Pure.
 *
 * Where two claim an item, the one that counts more keeps it: a result, a dead letter, a lease, a wait
 * for the next try, the waiting range.
 */

/** Items [start, end). */
export interface Range {
  readonly start: number;
  readonly end: number;
}

export interface ArrayFacts {
  readonly length: number;
  /** Items below this were carved. */
  readonly cursor: number;
  /** The group has not begun yet. */
  readonly isDelayed: boolean;
  /** Results; `missing`: items in between that failed in their chunk and stand elsewhere. */
  readonly rows: readonly (Range & { readonly missing: readonly number[] })[];
  readonly letters: readonly Range[];
  readonly chunks: readonly (Range & {
    readonly entry: string;
    readonly isReplica: boolean;
    readonly isHeld: boolean;
  })[];
  readonly later: readonly (Range & { readonly hasTimer: boolean })[];
  readonly ranges: readonly (Range & { readonly member: string })[];
}

/** One thing to set right; scripts/doctor-requeue.lua does it. */
export type ArrayMend =
  | { readonly kind: "lost"; readonly start: number; readonly end: number }
  | { readonly kind: "cut"; readonly member: string }
  | { readonly kind: "add"; readonly start: number; readonly end: number }
  | { readonly kind: "drop"; readonly entry: string }
  | { readonly kind: "forget"; readonly start: number }
  | { readonly kind: "timer"; readonly start: number };

export interface ArrayView {
  readonly counts: {
    readonly scheduled: number;
    readonly queued: number;
    readonly running: number;
    readonly completed: number;
    readonly failed: number;
  };
  readonly mends: readonly ArrayMend[];
}

export function coverArray(facts: ArrayFacts): ArrayView {
  const taken = new Cover();
  const mends: ArrayMend[] = [];
  const completed = sum(facts.rows.flatMap(presentParts), (part) => taken.add(part));
  const failed = sum(facts.letters, (part) => taken.add(part));
  const running = sum(facts.chunks.filter(isLease), (chunk) => {
    const added = taken.add(chunk);
    if (added === 0) mends.push({ kind: "drop", entry: chunk.entry });
    return added;
  });
  for (const { entry, isHeld } of facts.chunks) if (!isHeld) mends.push({ kind: "drop", entry });
  const waiting = sum(facts.later, ({ hasTimer, ...range }) => {
    const added = taken.add(range);
    if (added === 0) mends.push({ kind: "forget", start: range.start });
    else if (!hasTimer) mends.push({ kind: "timer", start: range.start });
    return added;
  });
  const back = sum(facts.ranges, ({ member, ...range }) => {
    const free = taken.free(range);
    const added = taken.add(range);
    if (added < range.end - range.start) {
      mends.push({ kind: "cut", member }, ...free.map((part) => ({ kind: "add", ...part }) as const));
    }
    return added;
  });
  const lost = taken.free({ start: 0, end: facts.cursor });
  for (const gap of lost) mends.push({ kind: "lost", ...gap });
  const fresh = back + facts.length - facts.cursor;
  return {
    counts: {
      scheduled: waiting + (facts.isDelayed ? fresh : 0),
      queued: facts.isDelayed ? 0 : fresh,
      running,
      completed,
      failed,
    },
    mends,
  };
}

function isLease({ isReplica, isHeld }: ArrayFacts["chunks"][number]): boolean {
  return !isReplica && isHeld;
}

function presentParts({ start, end, missing }: ArrayFacts["rows"][number]): Range[] {
  const parts: Range[] = [];
  let from = start;
  for (const item of [...missing, end]) {
    if (item > from) parts.push({ start: from, end: item });
    from = item + 1;
  }
  return parts;
}

/** In the order of their starts, so that neighbours melt into one. */
function sum<T extends Range>(list: readonly T[], size: (one: T) => number): number {
  return list.toSorted((one, other) => one.start - other.start).reduce((total, one) => total + size(one), 0);
}

/** A set of items as ranges in order that do not touch. */
class Cover {
  #ranges: Range[] = [];

  /** Adds the items; how many of them were not there. */
  add(range: Range): number {
    const free = this.free(range);
    const [from, to] = this.#touching(range);
    const merged = this.#ranges.slice(from, to);
    const start = Math.min(range.start, merged[0]?.start ?? range.start);
    const end = Math.max(range.end, merged.at(-1)?.end ?? range.end);
    if (range.end > range.start) this.#ranges.splice(from, to - from, { start, end });
    return free.reduce((items, part) => items + part.end - part.start, 0);
  }

  /** Those parts of the range that are not there. */
  free({ start, end }: Range): Range[] {
    const parts: Range[] = [];
    let from = start;
    const [first, last] = this.#touching({ start, end });
    for (const known of this.#ranges.slice(first, last)) {
      if (known.start > from) parts.push({ start: from, end: Math.min(end, known.start) });
      from = Math.max(from, known.end);
    }
    if (from < end) parts.push({ start: from, end });
    return parts.filter((part) => part.start < part.end);
  }

  /** Places of the known ranges that overlap the given one or touch it: from … to. */
  #touching({ start, end }: Range): [number, number] {
    const from = this.#firstPlace((known) => known.end >= start);
    return [
      from,
      Math.max(
        from,
        this.#firstPlace((known) => known.start > end),
      ),
    ];
  }

  /** By halving; the condition holds from some place on. */
  #firstPlace(holds: (known: Range) => boolean): number {
    let [low, high] = [0, this.#ranges.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (holds(this.#ranges[middle] as Range)) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
