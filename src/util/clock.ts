/**
 * Time, injected. Code that reads the time or waits takes a Clock, so that a test (or a simulated
 * cluster) can move time by hand.
 */
export interface Clock {
  /** Wall clock, milliseconds since 1970. */
  now(): number;
  /** Calls `action` once after `delayMs`. Returns a function that cancels it. */
  schedule(delayMs: number, action: () => void): () => void;
}

/** The machine's clock. Timers do not keep the process alive unless `keepAlive`. */
export function systemClock(options: { readonly keepAlive?: boolean } = {}): Clock {
  return {
    now: () => Date.now(),
    schedule: (delayMs, action) => {
      const timer = setTimeout(action, delayMs);
      if (options.keepAlive !== true) timer.unref();
      return () => clearTimeout(timer);
    },
  };
}

/** Resolves after `delayMs`, or rejects with the signal's reason when it is aborted first. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(signal.reason as Error);
      return;
    }
    const cancel = clock.schedule(delayMs, () => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    });
    const onAbort = (): void => {
      cancel();
      reject(signal?.reason as Error);
    };
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}
