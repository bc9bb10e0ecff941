/**
 * Declares sessions dead that have been silent for too long, and queues their tasks again as lost
 * attempts (promises 3 and 4). The broker judges silence by its own clock; this duty only asks often
 * enough that a death is noticed soon after `deadAfterMs`.
 */
import type { Duty } from "./duty.ts";

const INTERVAL_MS = 250;
const SESSIONS_PER_RUN = 100;

export const reaper: Duty = {
  name: "reaper",
  intervalMs: INTERVAL_MS,
  counts: "silent sessions declared dead",
  runOnce: (broker) => broker.reapSessions({ limit: SESSIONS_PER_RUN }),
};
