/**
 * Queues tasks whose delay or retry backoff is over. The broker tells when the next one falls due,
 * so a run comes at that moment; the interval bounds how late a task can be that was scheduled
 * since the last run.
 */
import type { Duty } from "./duty.ts";

const INTERVAL_MS = 250;
const TASKS_PER_RUN = 1_000;

export const timers: Duty = {
  name: "timers",
  intervalMs: INTERVAL_MS,
  counts: "scheduled tasks queued",
  runOnce: (broker) => broker.promoteDue({ limit: TASKS_PER_RUN }),
};
