/**
 * Deletes executions that ended longer ago than they are to be kept, with their results, events and
 * attempts (promise 9). A portion is small, because a deletion holds up everybody else's writes.
 */
import type { Duty } from "./duty.ts";

const INTERVAL_MS = 60_000;
const EXECUTIONS_PER_RUN = 20;

export const retention: Duty = {
  name: "retention",
  intervalMs: INTERVAL_MS,
  counts: "ended executions and expired state deleted",
  runOnce: (broker) => broker.purge({ limit: EXECUTIONS_PER_RUN }),
};
