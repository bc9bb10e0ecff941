/**
 * What a process does when it is told to end: in order at the first signal, at once at the second.
 */
export interface TerminationHandlers {
  /** The first SIGTERM or SIGINT: finish what must be finished. */
  readonly onFirst: (signal: NodeJS.Signals) => void;
  /** Any further one: somebody is impatient. */
  readonly onSecond: (signal: NodeJS.Signals) => void;
}

const SIGNALS = ["SIGTERM", "SIGINT"] as const satisfies readonly NodeJS.Signals[];

/** Listens until the returned function is called. */
export function onTermination(handlers: TerminationHandlers): () => void {
  let told = false;
  const handle = (signal: NodeJS.Signals): void => {
    if (told) {
      handlers.onSecond(signal);
      return;
    }
    told = true;
    handlers.onFirst(signal);
  };
  for (const signal of SIGNALS) process.on(signal, handle);
  return () => {
    for (const signal of SIGNALS) process.off(signal, handle);
  };
}

/** The exit code by which a shell knows that a signal ended a process. */
export function signalExitCode(signal: NodeJS.Signals): number {
  return signal === "SIGINT" ? 130 : 143;
}
