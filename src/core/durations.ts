/**
 * Measured durations of a workflow's nodes: what earlier runs took, as a running mean per label. They
 * stand for the estimates of later runs under the same name, so that the critical path is that of the
 * work as it is. They are kept as one value of shared state per name.
 */

/** Share of the newest run in a mean. */
const NEWEST_SHARE = 0.3;
/** Labels kept per name; those that were not measured for the longest time go first. */
export const MAX_MEASURED_LABELS = 10_000;
/** Text of one value, UTF-16 code units: far below what a payload may have. */
const MAX_TEXT = 262_144;

export interface MeasuredDurations {
  /** When the last execution ended that went in, on the broker's clock. */
  readonly endedAt: number;
  /** Milliseconds; those measured last at the end. */
  readonly means: ReadonlyMap<string, number>;
}

export const NOTHING_MEASURED: MeasuredDurations = { endedAt: 0, means: new Map() };

/** The key of the value, for executions of this name. */
export function durationsKey(name: string): string {
  return `workflow-durations/${name.toWellFormed()}`;
}

/** Items of a map are measured together: `tests[3]` counts under `tests[*]`. */
export function measuredLabel(label: string): string {
  return label.replace(/\[\d+\]/g, "[*]");
}

/** With what one more execution took; `samples` are labels as tasks have them, each with milliseconds. */
export function foldDurations(
  before: MeasuredDurations,
  samples: Iterable<readonly [label: string, durationMs: number]>,
  endedAt: number,
): MeasuredDurations {
  const sums = new Map<string, { ms: number; count: number }>();
  for (const [label, durationMs] of samples) {
    const key = measuredLabel(label);
    const sum = sums.get(key);
    if (sum === undefined) sums.set(key, { ms: durationMs, count: 1 });
    else {
      sum.ms += durationMs;
      sum.count += 1;
    }
  }
  const means = new Map(before.means);
  for (const [key, { ms, count }] of sums) {
    const known = means.get(key);
    const newest = ms / count;
    means.delete(key);
    means.set(key, known === undefined ? newest : known + NEWEST_SHARE * (newest - known));
  }
  return { endedAt, means };
}

/** As JSON text: a list of pairs, because an object would not keep the order of labels that are numbers. */
export function durationsText({ endedAt, means }: MeasuredDurations): string {
  const entries = [...means].slice(-MAX_MEASURED_LABELS).map(([label, ms]) => JSON.stringify([label, rounded(ms)]));
  let length = 64;
  let kept = entries.length;
  while (kept > 0 && length + (entries[kept - 1]?.length ?? 0) + 1 <= MAX_TEXT) {
    kept -= 1;
    length += (entries[kept]?.length ?? 0) + 1;
  }
  return `{"endedAt":${endedAt},"means":[${entries.slice(kept).join(",")}]}`;
}

/** What is no such text counts as nothing measured: anybody may write the value. */
export function parseDurations(text: string): MeasuredDurations {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return NOTHING_MEASURED;
  }
  const { endedAt, means } = (json ?? {}) as { readonly endedAt?: unknown; readonly means?: unknown };
  if (typeof endedAt !== "number" || !Array.isArray(means)) return NOTHING_MEASURED;
  return { endedAt, means: new Map(means.filter(isMean)) };
}

function isMean(entry: unknown): entry is readonly [string, number] {
  return Array.isArray(entry) && typeof entry[0] === "string" && typeof entry[1] === "number" && entry[1] >= 0;
}

function rounded(ms: number): number {
  return Math.round(ms * 100) / 100;
}
