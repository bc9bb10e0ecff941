/**
 * Progress of an execution, told when something has happened and not more often than asked.
 */
import type { ClientBroker } from "./client-broker.ts";
import type { ExecutionView } from "../broker/contract.ts";
import { MAX_PAGE } from "../broker/limits.ts";
import { isExecutionEnded } from "../core/states.ts";
import { type Clock, sleep } from "../util/clock.ts";
import { followEvents } from "./follow.ts";
import { orAborted } from "../util/or-aborted.ts";

/** The execution as the broker sees it, without the submitter's own notes. */
export type ExecutionStatus = Omit<ExecutionView, "meta">;

export interface Progress {
  readonly status: ExecutionStatus;
  /** Items that have ended, in whatever way. */
  readonly done: number;
  readonly total: number;
  /** 0…1. */
  readonly fraction: number;
  /** Items that ended per second over the last seconds; undefined until two looks are apart. */
  readonly perSecond: number | undefined;
  /** At that rate, milliseconds until the end. */
  readonly etaMs: number | undefined;
}

export interface ProgressParams {
  readonly broker: ClientBroker;
  readonly clock: Clock;
  readonly executionId: string;
  /** Shortest time between two looks, milliseconds. */
  readonly everyMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** Looks again after every transition, at most once per `everyMs`; the last one is of the ended execution. */
export async function* watchProgress(params: ProgressParams): AsyncGenerator<Progress, void> {
  const { broker, clock, executionId, signal } = params;
  const rate = new RateMeter();
  const look = async (): Promise<Progress> => {
    const view = await orAborted(broker.getExecution({ executionId }), signal);
    return toProgress(view, rate, clock.now());
  };
  let latest = await look();
  yield latest;
  if (isExecutionEnded(latest.status.state)) return;
  for await (const page of followEvents(broker, { executionId, cursor: 0, signal })) {
    // A full page is history, or a burst: more is waiting, and a look shows only where it ends.
    if (page.events.length >= MAX_PAGE) continue;
    latest = await look();
    yield latest;
    if (isExecutionEnded(latest.status.state)) return;
    if (params.everyMs > 0) await sleep(clock, params.everyMs, signal);
  }
}

export function toStatus(view: ExecutionView): ExecutionStatus {
  const { meta: _notes, ...status } = view;
  return status;
}

function toProgress(view: ExecutionView, rate: RateMeter, now: number): Progress {
  const { total, completed, failed, cancelled, skipped } = view.counters;
  const done = completed + failed + cancelled + skipped;
  const perSecond = rate.add({ done, at: now });
  return {
    status: toStatus(view),
    done,
    total,
    fraction: total === 0 ? 1 : done / total,
    perSecond,
    etaMs: perSecond === undefined || perSecond === 0 ? undefined : Math.round(((total - done) / perSecond) * 1_000),
  };
}

const RATE_WINDOW_MS = 5_000;

/** Items per second over the last RATE_WINDOW_MS. */
class RateMeter {
  readonly #looks: { readonly done: number; readonly at: number }[] = [];

  add(look: { readonly done: number; readonly at: number }): number | undefined {
    this.#looks.push(look);
    // Keep one look older than the window, so that the rate always spans at least the window.
    while ((this.#looks[1]?.at ?? Infinity) <= look.at - RATE_WINDOW_MS) this.#looks.shift();
    const oldest = this.#looks[0] ?? look;
    return look.at > oldest.at ? ((look.done - oldest.done) * 1_000) / (look.at - oldest.at) : undefined;
  }
}
