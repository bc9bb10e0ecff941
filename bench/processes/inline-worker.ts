/** A worker process without runners: claims and completes no-op tasks through the remote broker. */
import type { Broker } from "../../src/broker/contract.ts";
import { serveRequests } from "../child.ts";
import { drain, type DrainOptions } from "../drain.ts";
import { nowMs } from "../measure.ts";
import { connect, type Place } from "../open.ts";

export type InlineRequest =
  | { readonly kind: "connect"; readonly place: Place }
  /** Claims until nothing waits; answers a DrainReport. */
  | { readonly kind: "drain"; readonly options: DrainOptions }
  /** Waits for one task at a time; answers when each was received, in order. */
  | { readonly kind: "receive"; readonly count: number };

let broker: Broker | undefined;

serveRequests(
  async (request: InlineRequest) => {
    if (request.kind === "connect") {
      broker = await connect(request.place);
      return undefined;
    }
    if (broker === undefined) throw new Error("This worker is not connected.");
    return request.kind === "drain" ? drain(broker, request.options) : receive(broker, request.count);
  },
  async () => {
    await broker?.close();
  },
);

async function receive(from: Broker, count: number): Promise<number[]> {
  const receivedAtMs: number[] = [];
  const { session } = await from.openSession({
    worker: "receiver",
    host: "bench",
    pid: process.pid,
    pools: ["default"],
    capabilities: [],
    slots: 1,
  });
  while (receivedAtMs.length < count) {
    const { leases } = await from.claim({ session, max: 1, waitMs: 2_000 });
    const [lease] = leases;
    if (lease === undefined) continue;
    receivedAtMs.push(nowMs());
    const { executionId, task, token } = lease;
    const outcome = { kind: "completed", lease: { executionId, task, token }, durationMs: 0, result: "null" } as const;
    await from.commit({ session, outcomes: [outcome] });
  }
  await from.closeSession({ session, reason: "left" });
  return receivedAtMs;
}
