/**
 * An inline worker: claims and completes no-op tasks through the broker's contract until nothing
 * waits any more. It shows what the broker costs, without runner processes.
 */
import type { Broker, CommitReply, Lease, Outcome } from "../src/broker/contract.ts";
import { nowMs } from "./measure.ts";

export interface DrainOptions {
  readonly worker: string;
  /** Tasks of one claim and of one commit. */
  readonly batch: number;
  /** Sessions that claim and commit side by side. */
  readonly lanes: number;
}

export interface DrainReport {
  readonly accepted: Record<string, number[]>;
  readonly firstClaimAtMs: number;
  readonly lastCommitAtMs: number;
}

/** How long a lane waits for more before it takes the queue for empty. */
const LAST_WAIT_MS = 200;

export async function drain(broker: Broker, options: DrainOptions): Promise<DrainReport> {
  const report = { accepted: {} as Record<string, number[]>, firstClaimAtMs: nowMs(), lastCommitAtMs: nowMs() };
  const lanes = Array.from({ length: options.lanes }, (_, lane) => drainLane(broker, options, { lane, report }));
  await Promise.all(lanes);
  return report;
}

async function drainLane(
  broker: Broker,
  options: DrainOptions,
  { lane, report }: { readonly lane: number; readonly report: DrainReport & { lastCommitAtMs: number } },
): Promise<void> {
  const claim = { max: options.batch, waitMs: LAST_WAIT_MS };
  const { session } = await broker.openSession({
    worker: `${options.worker}-${lane}`,
    host: "bench",
    pid: process.pid,
    pools: ["default"],
    capabilities: [],
    slots: options.batch,
  });
  let { leases } = await broker.claim({ session, ...claim });
  while (leases.length > 0) {
    const reply: CommitReply = await broker.commit({ session, outcomes: leases.map(outcomeOf), claim });
    report.lastCommitAtMs = nowMs();
    for (const [index, lease] of leases.entries()) {
      if (reply.verdicts[index] === "accepted") (report.accepted[lease.executionId] ??= []).push(lease.task);
    }
    leases = reply.leases;
  }
  await broker.closeSession({ session, reason: "left" });
}

export function outcomeOf(lease: Lease): Outcome {
  const { executionId, task, token } = lease;
  return { kind: "completed", lease: { executionId, task, token }, durationMs: 0, result: "null" };
}
