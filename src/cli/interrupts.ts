/**
 * Ctrl-C, SIGTERM, and a reader of our output who left.
 *
 * The first one asks: `signal` is aborted and the command ends in order (drains workers, closes the
 * store). The second one insists: everything registered with `onForced` is killed and the process
 * exits at once. Nothing durable is lost either way; that is the broker's promise, not ours.
 */
export interface Interrupts {
  /** Aborted by the first request to end. */
  readonly signal: AbortSignal;
  /** Why, once `signal` is aborted. */
  readonly reason: InterruptReason | undefined;
  /** Called on the second request, before the process exits. Returns a function that takes it back. */
  onForced(action: () => void): () => void;
}

export type InterruptReason = "SIGINT" | "SIGTERM" | "SIGHUP" | "output closed";

/** Exit code after an interrupt: 128 + the signal's number, as shells expect; 0 when our reader had enough. */
export function interruptExitCode(reason: InterruptReason | undefined): number {
  switch (reason) {
    case "SIGINT":
      return 130;
    case "SIGTERM":
      return 143;
    case "SIGHUP":
      return 129;
    case "output closed":
    case undefined:
      return 0;
  }
}

export interface InterruptSource {
  on(name: "SIGINT" | "SIGTERM" | "SIGHUP", listener: () => void): unknown;
}

export interface InterruptHandler extends Interrupts {
  /** Counts as a request to end. */
  interrupt(reason: InterruptReason): void;
}

export function watchInterrupts(source: InterruptSource, exit: (code: number) => void): InterruptHandler {
  const abort = new AbortController();
  const forced = new Set<() => void>();
  let reason: InterruptReason | undefined;
  const interrupt = (cause: InterruptReason): void => {
    if (reason === undefined) {
      reason = cause;
      abort.abort(new DOMException(`Interrupted (${cause})`, "AbortError"));
    } else if (cause !== "output closed") {
      for (const action of forced) action();
      exit(interruptExitCode(cause));
    }
  };
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) source.on(name, () => interrupt(name));
  return {
    signal: abort.signal,
    get reason() {
      return reason;
    },
    interrupt,
    onForced(action) {
      forced.add(action);
      return () => forced.delete(action);
    },
  };
}
