/**
 * How much memory a runner may use, and how much it does.
 *
 * Two guards together: V8's own heap limit, which ends a process that fills its heap with objects,
 * and a look at the resident set, which also sees buffers and native memory. The second reads
 * /proc and therefore works on Linux only; elsewhere the heap limit stands alone.
 */
import { readFileSync } from "node:fs";

/** What Node itself occupies before any user code runs, with room for its young generation. Not charged to the user. */
export const RUNNER_BASE_MB = 96;
/** The resident set of a limited runner is looked at this often while an attempt runs. */
export const MEMORY_LOOK_INTERVAL_MS = 200;
/** V8 does not start with less. */
const MIN_HEAP_MB = 16;
/** x86-64 and the usual ARM kernels. Where pages are larger the limit is met late, never early. */
const PAGE_BYTES = 4_096;
const MB = 1_048_576;

/** Node options that give a runner its heap limit. */
export function heapLimitOptions(limitMb: number | undefined): string[] {
  return limitMb === undefined ? [] : [`--max-old-space-size=${Math.max(MIN_HEAP_MB, Math.ceil(limitMb))}`];
}

/** Resident set of a process in MB; undefined where it cannot be known. */
export function residentMb(pid: number): number | undefined {
  if (process.platform !== "linux") return undefined;
  try {
    const pages = Number(readFileSync(`/proc/${pid}/statm`, "latin1").split(" ")[1]);
    return Number.isFinite(pages) ? (pages * PAGE_BYTES) / MB : undefined;
  } catch {
    return undefined; // it has just ended
  }
}

/** Whether a runner holds more than its limit. */
export function isOverLimit(pid: number, limitMb: number | undefined): boolean {
  if (limitMb === undefined) return false;
  const resident = residentMb(pid);
  return resident !== undefined && resident > limitMb + RUNNER_BASE_MB;
}
