/** How fast something counts up, over the last seconds, and how long the rest will take. */
const WINDOW_MS = 10_000;
/** A rate from less time than this is mostly chance. */
const SHORTEST_SPAN_MS = 250;

interface Sample {
  readonly at: number;
  readonly done: number;
}

export class RateMeter {
  #samples: Sample[] = [];

  /** `at` in milliseconds on one clock; `done` never falls. */
  record(at: number, done: number): void {
    this.#samples.push({ at, done });
    const oldest = this.#samples.findLastIndex((sample) => sample.at <= at - WINDOW_MS);
    if (oldest > 0) this.#samples.splice(0, oldest);
  }

  /** Per second over the last ten seconds; undefined until there is enough to tell. */
  ratePerSecond(): number | undefined {
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    if (first === undefined || last === undefined || last.at - first.at < SHORTEST_SPAN_MS) return undefined;
    return ((last.done - first.done) * 1_000) / (last.at - first.at);
  }

  /** Milliseconds until `total` at the present rate; undefined while that cannot be told. */
  remainingMs(total: number): number | undefined {
    const rate = this.ratePerSecond();
    const done = this.#samples.at(-1)?.done ?? 0;
    return rate === undefined || rate <= 0 ? undefined : ((total - done) / rate) * 1_000;
  }
}
