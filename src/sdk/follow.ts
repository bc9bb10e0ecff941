/**
 * Following an execution: pages of its events and of its results, by long reads.
 *
 * Nothing here polls. A read that finds nothing new waits at the broker for up to READ_WAIT_MS and
 * comes back empty; the empty page is passed on, so that a follower looks at the execution's own
 * state now and then and ends even if the event it waits for was purged. A cursor moves only after
 * its page has been handed out, so a read repeated after a lost connection neither skips nor doubles.
 */
import type { Broker, BrokerEvent, ExecutionView, ResultRow } from "../broker/contract.ts";
import { MAX_PAGE } from "../broker/limits.ts";
import { isExecutionEnded } from "../core/states.ts";

/** How long one read waits for news, milliseconds. */
export const READ_WAIT_MS = 10_000;
/** Rows of one read. A row may be a whole chunk of values, so pages stay smaller than the contract allows. */
export const RESULT_ROWS_PER_READ = 250;

export interface FollowEventsParams {
  readonly executionId: string;
  /** Events after this one; 0 from the first that is kept. */
  readonly cursor: number;
  readonly signal?: AbortSignal | undefined;
}

/** Pages of an execution's events, for ever; an empty page means that nothing happened for a while. */
export async function* followEvents(
  broker: Broker,
  params: FollowEventsParams,
): AsyncGenerator<{ readonly events: readonly BrokerEvent[]; readonly cursor: number }, never> {
  let cursor = params.cursor;
  for (;;) {
    const reading = broker.readEvents({ executionId: params.executionId, cursor, limit: MAX_PAGE, waitMs: READ_WAIT_MS });
    const page = await orAborted(reading, params.signal);
    yield page;
    cursor = page.cursor;
  }
}

export interface FollowResultsParams {
  readonly executionId: string;
  readonly cursor?: number | undefined;
  readonly partialsOnly?: boolean;
  /** False: only what is committed now. */
  readonly follow: boolean;
  readonly signal?: AbortSignal | undefined;
}

export interface ResultPage {
  /** Read again from here to get this page again. */
  readonly from: number | undefined;
  readonly rows: readonly ResultRow[];
}

/** Pages of an execution's commits, in commit order, until it has ended and all are read. */
export async function* followResults(broker: Broker, params: FollowResultsParams): AsyncGenerator<ResultPage, void> {
  let cursor = params.cursor;
  for (;;) {
    const page = await orAborted(readResultPage(broker, { ...params, cursor }), params.signal);
    yield { from: cursor, rows: page.rows };
    cursor = page.cursor;
    if (page.done || (!params.follow && page.rows.length === 0)) return;
  }
}

export async function readResultPage(
  broker: Broker,
  params: Pick<FollowResultsParams, "executionId" | "cursor" | "partialsOnly" | "follow">,
): Promise<{ readonly rows: readonly ResultRow[]; readonly cursor: number; readonly done: boolean }> {
  return broker.readResults({
    executionId: params.executionId,
    limit: RESULT_ROWS_PER_READ,
    ...(params.cursor === undefined ? {} : { cursor: params.cursor }),
    ...(params.follow ? { waitMs: READ_WAIT_MS } : {}),
    ...(params.partialsOnly === true ? { partialsOnly: true } : {}),
  });
}

/** The execution's last view, once it has ended. */
export async function untilEnded(broker: Broker, params: { readonly executionId: string; readonly signal?: AbortSignal | undefined }): Promise<ExecutionView> {
  const look = (): Promise<ExecutionView> => orAborted(broker.getExecution({ executionId: params.executionId }), params.signal);
  let view = await look();
  if (isExecutionEnded(view.state)) return view;
  for await (const page of followEvents(broker, { ...params, cursor: 0 })) {
    if (page.events.length > 0 && !page.events.some((event) => event.change.kind === "execution")) continue;
    view = await look();
    if (isExecutionEnded(view.state)) return view;
  }
  return view;
}

/** The promise, or the signal's reason as soon as it is aborted. The call itself goes on unheard. */
export async function orAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  const aborted = Promise.withResolvers<never>();
  const onAbort = (): void => aborted.reject(signal.reason as Error);
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
