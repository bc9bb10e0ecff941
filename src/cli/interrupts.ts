/**
 * Ctrl-C, SIGTERM, and a reader of our output who left.
 *
 * The first request asks: `signal` is aborted and the command ends in order (drains workers, closes
 * the store). The second insists: everything registered with `onForced` is killed and the process
 * exits at once. Nothing durable is lost either way; that is the broker's promise, not ours.
 */
import { onTermination, signalExitCode } from "../lifecycle/termination.ts";

export type InterruptReason = NodeJS.Signals | "output closed";

export interface Interrupts {
  /** Aborted by the first request to end. */
  readonly signal: AbortSignal;
  /** Why, once `signal` is aborted. */
  readonly reason: InterruptReason | undefined;
  /** Called on the second request, before the process exits. Returns a function that takes it back. */
  onForced(action: () => void): () => void;
  /** Stops listening to signals: somebody else handles them from here on. */
  release(): void;
}

export interface InterruptHandler extends Interrupts {
  /** Counts as a first request to end. */
  interrupt(reason: InterruptReason): void;
}

/** 128 + n for a signal, as shells expect; 0 when our reader had enough. */
export function interruptExitCode(reason: InterruptReason | undefined): number {
  return reason === undefined || reason === "output closed" ? 0 : signalExitCode(reason);
}

export function watchInterrupts(exit: (code: number) => void): InterruptHandler {
  const abort = new AbortController();
  const forced = new Set<() => void>();
  let reason: InterruptReason | undefined;
  const interrupt = (cause: InterruptReason): void => {
    reason ??= cause;
    abort.abort(new DOMException(`Interrupted (${cause})`, "AbortError"));
  };
  const release = onTermination({
    onFirst: interrupt,
    onSecond: (signal) => {
      for (const action of forced) action();
      exit(interruptExitCode(signal));
    },
  });
  return {
    signal: abort.signal,
    get reason() {
      return reason;
    },
    interrupt,
    release,
    onForced(action) {
      forced.add(action);
      return () => forced.delete(action);
    },
  };
}
