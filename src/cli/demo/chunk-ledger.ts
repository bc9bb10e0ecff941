/**
 * Who holds which chunk, since when, and what became of it: the demo's own book, kept from the
 * broker's events alone.
 *
 * The demo aims with it (is worker 1 in the middle of a chunk right now?) and measures with it (when
 * was that chunk running again, and where?). Events come in order and are told once, so the book is
 * exact; it says what the broker has committed, not what a worker believes.
 */
import type { BrokerEvent } from "../../broker/contract.ts";

export interface ChunkRange {
  readonly task: number;
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
}

export interface HeldChunk extends ChunkRange {
  /** When the lease was given, on the broker's clock. */
  readonly claimedAt: number;
}

export interface WorkerEntry {
  readonly worker: string;
  state: "live" | "left" | "lost";
  /** In the order in which they were claimed: the first is running, the others wait at the worker. */
  readonly held: HeldChunk[];
  chunks: number;
  points: number;
  /** Last commit, on the broker's clock. */
  committedAt: number | undefined;
}

export interface Takeover extends ChunkRange {
  readonly from: string;
  readonly to: string;
  /** When it was running again, on the broker's clock. */
  readonly at: number;
}

/** Chunk durations kept for the median. */
const RECENT_DURATIONS = 50;

export class ChunkLedger {
  readonly workers = new Map<string, WorkerEntry>();
  readonly takeovers: Takeover[] = [];
  readonly #done = new Map<string, ChunkRange>();
  /** Chunks whose worker died, by key, with the worker. */
  readonly #orphans = new Map<string, ChunkRange & { readonly from: string }>();
  readonly #durations: number[] = [];
  #donePoints = 0;

  get doneChunks(): number {
    return this.#done.size;
  }

  get donePoints(): number {
    return this.#donePoints;
  }

  apply(event: BrokerEvent): void {
    const { change } = event;
    if (change.kind === "session") {
      const entry = this.#entry(change.worker);
      if (change.state === "opened") entry.state = "live";
      else entry.state = change.state;
      return;
    }
    if (change.kind !== "tasks") return;
    for (const reference of change.tasks) {
      if (typeof reference === "number") continue;
      const [task, start, end] = reference;
      const chunk = { task, start, end };
      if (change.state === "running") this.#started(chunk, { worker: change.worker ?? "", at: event.at });
      else if (change.state === "completed") this.#completed(chunk, { worker: change.worker ?? "", at: event.at });
      else this.#released(chunk, change.reason);
    }
  }

  /** The chunk a worker computes now, and since when (broker's clock): its oldest, since the commit before it. */
  runningChunk(worker: string): (HeldChunk & { readonly since: number }) | undefined {
    const entry = this.workers.get(worker);
    const first = entry?.held[0];
    if (entry === undefined || first === undefined) return undefined;
    return { ...first, since: Math.max(first.claimedAt, entry.committedAt ?? 0) };
  }

  /** Median time from start to commit of the last chunks; undefined before the first. */
  typicalChunkMs(): number | undefined {
    const sorted = this.#durations.toSorted((one, other) => one - other);
    return sorted[Math.floor(sorted.length / 2)];
  }

  isDone(chunk: ChunkRange): boolean {
    return this.#done.has(keyOf(chunk));
  }

  #started(chunk: ChunkRange, by: { readonly worker: string; readonly at: number }): void {
    this.#entry(by.worker).held.push({ ...chunk, claimedAt: by.at });
    for (const [key, orphan] of this.#orphans) {
      if (orphan.from === by.worker || !overlaps(orphan, chunk)) continue;
      this.#orphans.delete(key);
      this.takeovers.push({
        task: orphan.task,
        start: orphan.start,
        end: orphan.end,
        from: orphan.from,
        to: by.worker,
        at: by.at,
      });
    }
  }

  #completed(chunk: ChunkRange, by: { readonly worker: string; readonly at: number }): void {
    const entry = this.#entry(by.worker);
    const running = this.runningChunk(by.worker);
    if (running !== undefined && keyOf(running) === keyOf(chunk)) this.#noteDuration(by.at - running.since);
    this.#drop(entry, chunk);
    entry.committedAt = by.at;
    entry.chunks++;
    entry.points += chunk.end - chunk.start;
    const key = keyOf(chunk);
    if (this.#done.has(key)) return;
    this.#done.set(key, chunk);
    this.#donePoints += chunk.end - chunk.start;
  }

  /** Queued again: its holder died or handed it back. */
  #released(chunk: ChunkRange, reason: string | undefined): void {
    const holder = [...this.workers.values()].find((entry) => entry.held.some((held) => keyOf(held) === keyOf(chunk)));
    if (holder === undefined) return;
    this.#drop(holder, chunk);
    if (reason === "lost") this.#orphans.set(keyOf(chunk), { ...chunk, from: holder.worker });
  }

  #drop(entry: WorkerEntry, chunk: ChunkRange): void {
    const at = entry.held.findIndex((held) => keyOf(held) === keyOf(chunk));
    if (at >= 0) entry.held.splice(at, 1);
  }

  #entry(worker: string): WorkerEntry {
    let entry = this.workers.get(worker);
    if (entry === undefined) {
      entry = { worker, state: "live", held: [], chunks: 0, points: 0, committedAt: undefined };
      this.workers.set(worker, entry);
    }
    return entry;
  }

  #noteDuration(durationMs: number): void {
    this.#durations.push(durationMs);
    if (this.#durations.length > RECENT_DURATIONS) this.#durations.shift();
  }
}

export function sameChunk(one: ChunkRange, other: ChunkRange): boolean {
  return keyOf(one) === keyOf(other);
}

function overlaps(one: ChunkRange, other: ChunkRange): boolean {
  return one.task === other.task && one.start < other.end && other.start < one.end;
}

function keyOf(chunk: ChunkRange): string {
  return `${chunk.task}:${chunk.start}:${chunk.end}`;
}
