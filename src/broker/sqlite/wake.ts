/**
 * Suspensions as the rows of tasks keep them: what a task goes on with, and what for.
 *
 * The last suspension of a task stays in its row while it may be needed: attempts of the stretch after
 * it get the same (a retry by hand too), and a task that it has added may be run again. `awaits` of the
 * row names the signal as long as the task waits for it, `not_before` is its delay or its timeout.
 */
import type { Awakening, Resumption, TaskView } from "../contract.ts";

export interface Wake {
  readonly until: Awakening["kind"];
  /** JSON text of the task's own. */
  readonly state: string;
  readonly signal?: string;
  /** Of the signal, once it has come. */
  readonly payload?: string;
  /** First of the tasks that it has added, and how many. */
  readonly first?: number;
  readonly count?: number;
  /** What it waited for has come. */
  readonly awake?: boolean;
}

/** Set on `wake` in SQL when the task goes on; null stays null. */
export const AWAKE = "json_set(wake, '$.awake', json('true'))";
/** Whether `wake` says that the task still waits; null where it has not suspended itself. */
export const IS_ASLEEP = "json_extract(wake, '$.awake') IS NOT 1";

export function wakeIn(text: unknown): Wake | undefined {
  return typeof text === "string" ? (JSON.parse(text) as Wake) : undefined;
}

/** Numbers of the tasks that it has added. */
export function addedBy(wake: Wake | undefined): number[] {
  const { first = 0, count = 0 } = wake ?? {};
  return Array.from({ length: count }, (_, index) => first + index);
}

export function resumption({ state, payload, first, count }: Wake): Resumption {
  return {
    state,
    ...(payload === undefined ? {} : { signal: payload }),
    ...(first === undefined || count === undefined ? {} : { first, count }),
  };
}

export function suspensionView({ until, signal }: Wake): NonNullable<TaskView["suspended"]> {
  return { until, ...(signal === undefined ? {} : { signal }) };
}
