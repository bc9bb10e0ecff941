/** Lanes of a claim's reply (scripts/lib/claiming.lua says how they are laid out) as leases. */
import type { Lease, Resumption } from "../contract.ts";
import type { Reply } from "./link/link.ts";
import { resultOf } from "./result-records.ts";
import { makeToken } from "./tokens.ts";

/** Leases of one task group. */
export interface LeaseLane {
  readonly executionId: string;
  readonly group: string;
  /** `${executionId}/${group}` */
  readonly specKey: string;
  /** JSON text; empty when it was left out. */
  readonly spec: string;
  readonly leases: readonly Lease[];
}

type Values = readonly unknown[];

export function readLane(lane: Reply, session: string): LeaseLane {
  const [executionId = "", group = "", spec = "", kind = ""] = lane as string[];
  const specKey = `${executionId}/${group}`;
  const read = { q: readQueue, a: readAgain, c: readChunks }[kind as "q" | "a" | "c"];
  return { executionId, group, specKey, spec, leases: read(lane as Values, { executionId, group, session, specKey }) };
}

interface Shared {
  readonly executionId: string;
  readonly group: string;
  readonly session: string;
  readonly specKey: string;
}

const HEAD = 4;

function readQueue(lane: Values, { executionId, group, session, specKey }: Shared): Lease[] {
  const leases: Lease[] = [];
  const tail = `-1.${group}.1.${session}`;
  for (let at = HEAD; at < lane.length; at += 2) {
    const task = lane[at] as string;
    leases.push({
      executionId,
      task: Number(task),
      token: `q${task}${tail}`,
      spec: specKey,
      attempt: 1,
      input: lane[at + 1] as string,
    });
  }
  return leases;
}

function readAgain(lane: Values, { executionId, group, session, specKey }: Shared): Lease[] {
  const leases: Lease[] = [];
  for (let at = HEAD; at < lane.length; at += 8) {
    const [entry, task, attempt, input, parents, results, resumption, label] = lane.slice(at, at + 8) as [
      string,
      string,
      number,
      string,
      string,
      string[],
      string | readonly string[],
      string,
    ];
    leases.push({
      executionId,
      task: Number(task),
      token: makeToken({ stream: "a", entry, group, attempt: String(attempt), session, end: "" }),
      spec: specKey,
      attempt,
      input,
      ...(parents === "" ? {} : { parents: parentResults(parents, results) }),
      ...(typeof resumption === "string" ? {} : { resumed: resumed(resumption) }),
      ...(label === "" ? {} : { label }),
    });
  }
  return leases;
}

/** Of those that have one. */
function parentResults(parents: string, records: readonly string[]): Record<number, string> {
  const tasks = JSON.parse(parents) as number[];
  return Object.fromEntries(
    tasks.flatMap((task, at) => {
      const record = records[at] ?? "";
      return record === "" ? [] : [[task, resultOf(record)]];
    }),
  );
}

function resumed([first = "", count = "", state = "", signal = ""]: readonly string[]): Resumption {
  return {
    state,
    ...(signal === "" ? {} : { signal }),
    ...(first === "" ? {} : { first: Number(first), count: Number(count) }),
  };
}

function readChunks(lane: Values, { executionId, group, session, specKey }: Shared): Lease[] {
  const leases: Lease[] = [];
  for (let at = HEAD; at < lane.length; at += 7) {
    const [name, task, start, end, attempt, careful, replica] = lane.slice(at, at + 7) as [
      string,
      string,
      string,
      string,
      number,
      string,
      string,
    ];
    const [stream, entry] = [name.slice(0, 1), name.slice(1)];
    leases.push({
      executionId,
      task: Number(task),
      start: Number(start),
      token: makeToken({ stream, entry, group, attempt: String(attempt), session, end }),
      spec: specKey,
      attempt,
      end: Number(end),
      ...(replica === "" ? {} : { replica: Number(replica) }),
      ...(careful === "" ? {} : { careful: true }),
    });
  }
  return leases;
}
