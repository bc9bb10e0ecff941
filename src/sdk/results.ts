/**
 * An execution's results as a stream of items: one per point of a sweep or input of a batch.
 *
 * The broker hands out commits (a chunk of values each) in the order in which they were made. That
 * order needs no memory. Index order does: what is ahead of its turn waits. At most
 * `bufferedItems` values wait in memory; of the rest only the place is remembered (a few numbers
 * per commit) and the page is read again when its turn comes. A gap left by an item that failed is
 * passed over only at the end, because until then the item may still be retried.
 */
import type { ClientBroker } from "./client-broker.ts";
import type { ResultRow } from "../broker/contract.ts";
import { HoldfastError } from "../errors/index.ts";
import type { Points } from "./points.ts";
import { followResults, type PagePlace, readPage, type ResultPage } from "./follow.ts";
import { orAborted } from "../util/or-aborted.ts";

/** One committed item. */
export interface Result<Point, Value> {
  /** Index of the point in the sweep, or of the input in the batch. */
  readonly index: number;
  readonly point: Point;
  /** What `run` answered, as it came out of JSON. */
  readonly value: Value;
  /** The worker whose outcome was committed. */
  readonly worker: string;
  /** The attempt that was committed; 1 is the first. */
  readonly attempt: number;
}

export interface ResultStreamParams {
  readonly broker: ClientBroker;
  readonly executionId: string;
  readonly openPoints: () => Promise<Points>;
  readonly ordered: boolean;
  /** False: only what is committed now. */
  readonly follow: boolean;
  /** Most values that wait for their turn in memory. */
  readonly bufferedItems: number;
  readonly signal?: AbortSignal | undefined;
}

/** Neighbouring items of one commit that have a result. */
interface Span {
  readonly start: number;
  readonly end: number;
  readonly row: ResultRow;
}

export async function* streamResults<Point, Value>(
  params: ResultStreamParams,
): AsyncGenerator<Result<Point, Value>, void> {
  const pages = followResults(params.broker, {
    executionId: params.executionId,
    follow: params.follow,
    signal: params.signal,
  });
  const spans = params.ordered ? inIndexOrder(pages, params) : inCommitOrder(pages);
  const points = await params.openPoints();
  try {
    let parsed: { readonly row: ResultRow; readonly values: readonly unknown[] } | undefined;
    for await (const span of spans) {
      if (parsed?.row !== span.row) parsed = { row: span.row, values: valuesOf(span.row) };
      const { worker, attempt, task, start = task } = span.row;
      for (let index = span.start; index < span.end; index++) {
        // Whether they are what their types say was checked when they were submitted.
        yield {
          index,
          point: points.at(index) as Point,
          value: parsed.values[index - start] as Value,
          worker,
          attempt,
        };
      }
    }
  } finally {
    points.close();
  }
}

async function* inCommitOrder(pages: AsyncIterable<ResultPage>): AsyncGenerator<Span, void> {
  for await (const page of pages) for (const row of page.rows) yield* spansOf(row);
}

async function* inIndexOrder(pages: AsyncIterable<ResultPage>, params: ResultStreamParams): AsyncGenerator<Span, void> {
  const waiting = new WaitingSpans(params.bufferedItems);
  for await (const page of pages) {
    waiting.add(page);
    for (let start = waiting.nextReady(); start !== undefined; start = waiting.nextReady())
      yield waiting.take(start) ?? (await recall(start));
  }
  for (const start of waiting.starts()) yield waiting.take(start) ?? (await recall(start));

  /** Reads the page of a span again whose values were not kept. */
  async function recall(start: number): Promise<Span> {
    const place = waiting.placeOf(start);
    const page = await orAborted(
      readPage(params.broker, { executionId: params.executionId, follow: false }, place),
      params.signal,
    );
    const span = waiting.refill(page.rows, start);
    if (span !== undefined) return span;
    throw new HoldfastError("INTERNAL", {
      problem: `result ${start} of execution ${params.executionId} was there and is not any more`,
    });
  }
}

interface Waiting {
  readonly page: PagePlace;
  readonly end: number;
  /** Undefined: not kept, to be read again with its page. */
  span: Span | undefined;
}

/** What is ahead of its turn, by first index. */
class WaitingSpans {
  readonly #limit: number;
  readonly #waiting = new Map<number, Waiting>();
  #heldItems = 0;
  #next = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  add(page: ResultPage): void {
    for (const row of page.rows) {
      for (const span of spansOf(row)) {
        const keep = span.start === this.#next || this.#heldItems + (span.end - span.start) <= this.#limit;
        this.#waiting.set(span.start, { page: page.place, end: span.end, span: keep ? span : undefined });
        if (keep) this.#heldItems += span.end - span.start;
      }
    }
  }

  /** First index of the span whose turn it is, if it is in. */
  nextReady(): number | undefined {
    return this.#waiting.has(this.#next) ? this.#next : undefined;
  }

  /** All that still waits, ascending. */
  starts(): readonly number[] {
    return [...this.#waiting.keys()].sort((a, b) => a - b);
  }

  placeOf(start: number): PagePlace {
    const waiting = this.#waiting.get(start);
    if (waiting === undefined) throw new HoldfastError("INTERNAL", { problem: `nothing waits at ${start}` });
    return waiting.page;
  }

  /** Hands a span out and forgets it; undefined when its values were not kept. */
  take(start: number): Span | undefined {
    const waiting = this.#waiting.get(start);
    if (waiting?.span === undefined) return undefined;
    this.#waiting.delete(start);
    this.#heldItems -= waiting.end - start;
    this.#next = waiting.end;
    return waiting.span;
  }

  /** Takes a page that was read again: hands out the span at `wanted` and keeps what else there is room for. */
  refill(rows: readonly ResultRow[], wanted: number): Span | undefined {
    for (const row of rows) {
      for (const span of spansOf(row)) {
        const waiting = this.#waiting.get(span.start);
        if (waiting === undefined || waiting.span !== undefined) continue;
        if (span.start !== wanted && this.#heldItems + (span.end - span.start) > this.#limit) continue;
        waiting.span = span;
        this.#heldItems += span.end - span.start;
      }
    }
    return this.take(wanted);
  }
}

/** The runs of items of a commit that have a result: its range without the missing ones. */
function spansOf(row: ResultRow): readonly Span[] {
  if (row.start === undefined || row.end === undefined) return [{ start: row.task, end: row.task + 1, row }];
  const spans: Span[] = [];
  let start = row.start;
  for (const missing of [...(row.missing ?? []), row.end]) {
    if (missing > start) spans.push({ start, end: missing, row });
    start = missing + 1;
  }
  return spans;
}

function valuesOf(row: ResultRow): readonly unknown[] {
  if (row.values !== undefined) return JSON.parse(row.values) as readonly unknown[];
  if (row.result !== undefined) return [JSON.parse(row.result)];
  throw new HoldfastError("INVALID_OPTION", {
    option: "results",
    value: '"discard"',
    expected: '"keep" for results to be read one by one; aggregate() has what they come to',
  });
}
