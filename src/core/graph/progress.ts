/** A graph that has been run in part: what is left of its durations. */

export type NodeProgress =
  | { readonly state: "waiting" }
  | { readonly state: "running"; readonly elapsedMs: number }
  /** Completed, or nothing waits for it any more. */
  | { readonly state: "done" };

/** Done nodes take no time; running ones what is left of their estimate, which may be nothing. */
export function leftToRunMs(durationsMs: ArrayLike<number>, progressOf: (node: number) => NodeProgress): Float64Array {
  return Float64Array.from({ length: durationsMs.length }, (_, node) => {
    const durationMs = durationsMs[node] as number;
    const progress = progressOf(node);
    switch (progress.state) {
      case "waiting":
        return durationMs;
      case "running":
        return Math.max(0, durationMs - progress.elapsedMs);
      case "done":
        return 0;
    }
  });
}
