/** Calls that may take only so long, or only as long as somebody waits for them. */
import type { Clock } from "../util/clock.ts";

/** What a call answers; undefined when it fails, or takes longer. The call itself goes on unheard. */
export async function answered<T>(
  clock: Clock,
  deadlineMs: number,
  call: () => Promise<T>,
): Promise<{ readonly answer: T } | undefined> {
  const late = Promise.withResolvers<undefined>();
  const cancel = clock.schedule(deadlineMs, () => late.resolve(undefined));
  try {
    return await Promise.race([call().then((answer) => ({ answer })), late.promise]);
  } catch {
    return undefined;
  } finally {
    cancel();
  }
}

/** The promise, or `otherwise` as soon as the signal is aborted. */
export async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal, otherwise: T): Promise<T> {
  const aborted = Promise.withResolvers<T>();
  const onAbort = (): void => aborted.resolve(otherwise);
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
