/**
 * Counts and durations of calls, kept in the process: what the wrapper around the broker reports
 * and what a log line or a status page shows. Room does not grow with the number of calls.
 */

/** Upper edges of the duration buckets grow by this factor, so a quantile is at most so far off. */
const BUCKET_GROWTH = 1.25;
const SMALLEST_EDGE_MS = 0.01;
const BUCKETS = 80;

export interface CallStats {
  readonly method: string;
  readonly calls: number;
  /** Failed calls by error code. */
  readonly errors: Readonly<Record<string, number>>;
  readonly totalMs: number;
  readonly maxMs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export interface CallMetrics {
  /** One call has ended; `errorCode` when it failed. */
  observe(method: string, durationMs: number, errorCode?: string): void;
  /** One entry per method seen, by name. */
  snapshot(): readonly CallStats[];
}

interface MethodRecord {
  calls: number;
  totalMs: number;
  maxMs: number;
  readonly errors: Map<string, number>;
  readonly buckets: Uint32Array;
}

export function createCallMetrics(): CallMetrics {
  const methods = new Map<string, MethodRecord>();
  return {
    observe: (method, durationMs, errorCode) => {
      let record = methods.get(method);
      if (record === undefined) {
        record = { calls: 0, totalMs: 0, maxMs: 0, errors: new Map(), buckets: new Uint32Array(BUCKETS) };
        methods.set(method, record);
      }
      record.calls += 1;
      record.totalMs += durationMs;
      record.maxMs = Math.max(record.maxMs, durationMs);
      const bucket = bucketOf(durationMs);
      record.buckets[bucket] = (record.buckets[bucket] ?? 0) + 1;
      if (errorCode !== undefined) record.errors.set(errorCode, (record.errors.get(errorCode) ?? 0) + 1);
    },
    snapshot: () =>
      [...methods]
        .map(([method, record]) => ({
          method,
          calls: record.calls,
          errors: Object.fromEntries(record.errors),
          totalMs: record.totalMs,
          maxMs: record.maxMs,
          p50Ms: quantile(record, 0.5),
          p99Ms: quantile(record, 0.99),
        }))
        .sort((a, b) => a.method.localeCompare(b.method)),
  };
}

function bucketOf(durationMs: number): number {
  if (durationMs <= SMALLEST_EDGE_MS) return 0;
  return Math.min(BUCKETS - 1, Math.ceil(Math.log(durationMs / SMALLEST_EDGE_MS) / Math.log(BUCKET_GROWTH)));
}

/** Upper edge of the bucket that holds the quantile, never above the longest call. */
function quantile(record: MethodRecord, share: number): number {
  let remaining = Math.ceil(record.calls * share);
  for (const [bucket, count] of record.buckets.entries()) {
    remaining -= count;
    const edgeMs = bucket === BUCKETS - 1 ? Infinity : SMALLEST_EDGE_MS * BUCKET_GROWTH ** bucket;
    if (remaining <= 0) return Math.min(record.maxMs, edgeMs);
  }
  return record.maxMs;
}
