/**
 * Takes leases back whose attempt has outlived its timeout by more than a worker needs to report it.
 * Workers judge timeouts themselves; this is for a worker that lives and heartbeats but has lost
 * track of an attempt.
 */
import type { Duty } from "./duty.ts";

const INTERVAL_MS = 1_000;
const LEASES_PER_RUN = 1_000;

export const overdue: Duty = {
  name: "overdue",
  intervalMs: INTERVAL_MS,
  counts: "overdue leases taken back",
  runOnce: (broker) => broker.reapOverdue({ limit: LEASES_PER_RUN }),
};
