/** Properties whose runs take resources along: a run is never left behind when the time is over. */
import fc from "fast-check";

export interface PropertyEffort {
  readonly runs: number;
  /** After this long no further run or shrinking begins; what was found by then is told. */
  readonly timeLimitMs: number;
}

/** Fails with the smallest counterexample found, and the seed to find it again. */
export async function checkProperty<T>(
  given: fc.Arbitrary<T>,
  effort: PropertyEffort,
  holds: (value: T) => Promise<void>,
): Promise<void> {
  let latest: Promise<unknown> = Promise.resolve();
  const property = fc.asyncProperty(given, (value) => {
    const run = holds(value);
    latest = Promise.allSettled([run]);
    return run;
  });
  try {
    await fc.assert(property, { numRuns: effort.runs, interruptAfterTimeLimit: effort.timeLimitMs });
  } finally {
    await latest;
  }
}
