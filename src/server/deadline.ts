/** Calls that may take only so long. */
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
