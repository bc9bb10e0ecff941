/**
 * Compares the copies of chunks that several workers ran, and tells the broker the verdicts.
 *
 * The broker collects copies and counts verdicts but never reads values, so the comparison happens
 * here. A crash between reading and judging loses nothing: the copies stay pending. Two leaders
 * reach the same verdicts from the same copies, and the broker takes each once.
 */
import type { PendingVerification, VerificationVerdict } from "../broker/contract.ts";
import { compareCopies } from "../core/verification.ts";
import type { Duty } from "./duty.ts";

const INTERVAL_MS = 500;
/** Each entry carries the values of all copies of a chunk, so a few are a lot of text. */
const CHUNKS_PER_RUN = 8;

export const verification: Duty = {
  name: "verification",
  intervalMs: INTERVAL_MS,
  counts: "verified chunks judged",
  runOnce: async (broker) => {
    const { pending } = await broker.pendingVerifications({ limit: CHUNKS_PER_RUN });
    if (pending.length > 0) await broker.judgeVerifications({ verdicts: pending.map(judge) });
    return { handled: pending.length, more: pending.length === CHUNKS_PER_RUN };
  },
};

function judge(pending: PendingVerification): VerificationVerdict {
  const { executionId, task, start } = pending;
  const disagreement = compareCopies(pending);
  return { executionId, task, start, ...(disagreement === undefined ? {} : { disagreement }) };
}
