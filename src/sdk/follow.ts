/**
 * Following an execution: pages of its events and of its results, by long reads.
 *
 * Nothing here polls. A read that finds nothing new waits at the broker for up to READ_WAIT_MS and
 * comes back empty; the empty page is passed on, so that a follower looks at the execution's own
 * state now and then and ends even if the event it waits for was purged. A cursor moves only after
 * its page has been handed out, so a read repeated after a lost connection neither skips nor doubles.
 */
import type { ClientBroker } from "./client-broker.ts";
import type { BrokerEvent, ExecutionView, ReadResultsReply, ResultRow } from "../broker/contract.ts";
import { MAX_PAGE } from "../broker/limits.ts";
import { isExecutionEnded } from "../core/states.ts";
import { HoldfastError } from "../errors/index.ts";
import { orAborted } from "../util/or-aborted.ts";

/** How long one read waits for news, milliseconds. */
export const READ_WAIT_MS = 10_000;
export interface FollowEventsParams {
  readonly executionId: string;
  /** Events after this one; 0 from the first that is kept. */
  readonly cursor: number;
  /** Hand out the first page at once, even if it is empty: there may be nothing to come. */
  readonly firstAtOnce?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** Pages of an execution's events, for ever; an empty page means that nothing happened for a while. */
export async function* followEvents(
  broker: ClientBroker,
  params: FollowEventsParams,
): AsyncGenerator<{ readonly events: readonly BrokerEvent[]; readonly cursor: number }, never> {
  let { cursor } = params;
  let waitMs = params.firstAtOnce === true ? 0 : READ_WAIT_MS;
  for (;;) {
    const page = await orAborted(
      broker.readEvents({ executionId: params.executionId, cursor, limit: MAX_PAGE, waitMs }),
      params.signal,
    );
    yield page;
    cursor = page.cursor;
    waitMs = READ_WAIT_MS;
  }
}

export interface FollowResultsParams {
  readonly executionId: string;
  readonly partialsOnly?: boolean;
  /** False: only what is committed now. */
  readonly follow: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** Where a page began and how long it could be: read with the same two, it comes again. */
export interface PagePlace {
  readonly cursor: number | undefined;
  readonly limit: number;
}

export interface ResultPage {
  readonly place: PagePlace;
  readonly rows: readonly ResultRow[];
}

/** Pages of an execution's commits, in commit order, until it has ended and all are read. */
export async function* followResults(
  broker: ClientBroker,
  params: FollowResultsParams,
): AsyncGenerator<ResultPage, void> {
  const size = new PageSize();
  let cursor: number | undefined;
  for (;;) {
    const place: PagePlace = { cursor, limit: size.limit };
    let page: ReadResultsReply;
    try {
      page = await orAborted(readPage(broker, params, place), params.signal);
    } catch (thrown) {
      if (!HoldfastError.is(thrown, "PAYLOAD_TOO_LARGE") || !size.shrink()) throw thrown;
      continue;
    }
    yield { place, rows: page.rows };
    cursor = page.cursor;
    if (page.done || (!params.follow && page.rows.length === 0)) return;
    size.learn(page.rows);
  }
}

export function readPage(
  broker: ClientBroker,
  params: FollowResultsParams,
  place: PagePlace,
): Promise<ReadResultsReply> {
  return broker.readResults({
    executionId: params.executionId,
    limit: place.limit,
    ...(place.cursor === undefined ? {} : { cursor: place.cursor }),
    ...(params.follow ? { waitMs: READ_WAIT_MS } : {}),
    ...(params.partialsOnly === true ? { partialsOnly: true } : {}),
  });
}

const FIRST_LIMIT = 100;
/** Text of a page to aim for, UTF-16 code units. */
const PAGE_LENGTH = 4 * 1_048_576;

/** Rows to ask for. One may be a number or a whole chunk of values, so the size of pages is learned. */
class PageSize {
  limit = FIRST_LIMIT;

  learn(rows: readonly ResultRow[]): void {
    const length = rows.reduce(
      (sum, row) => sum + (row.values ?? row.result ?? "").length + (row.partial ?? "").length,
      0,
    );
    if (length > PAGE_LENGTH) this.shrink();
    else if (rows.length >= this.limit && length < PAGE_LENGTH / 2) this.limit = Math.min(MAX_PAGE, this.limit * 2);
  }

  /** False when it is as small as can be. */
  shrink(): boolean {
    if (this.limit === 1) return false;
    this.limit = Math.ceil(this.limit / 2);
    return true;
  }
}

/** The execution's last view, once it has ended. */
export async function untilEnded(
  broker: ClientBroker,
  params: { readonly executionId: string; readonly signal?: AbortSignal | undefined },
): Promise<ExecutionView> {
  const { executionId, signal } = params;
  for (;;) {
    const view = await orAborted(broker.getExecution({ executionId, waitMs: READ_WAIT_MS }), signal);
    if (isExecutionEnded(view.state)) return view;
  }
}
