/** What a broker has acknowledged under load (load.ts), and whether it is there. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import type { Broker, ExecutionView } from "../../src/broker/contract.ts";
import { HoldfastError } from "../../src/errors/index.ts";
import { allResults, auditExecution } from "../contract/audit.ts";

/** One call that the broker has acknowledged. */
export type Acknowledgement =
  | { readonly kind: "submit"; readonly executionId: string; readonly key: string; readonly total: number }
  | { readonly kind: "extend"; readonly executionId: string; readonly total: number }
  | { readonly kind: "cancel"; readonly executionId: string }
  | {
      readonly kind: "commit";
      readonly executionId: string;
      readonly task: number;
      readonly items?: readonly [start: number, end: number];
      readonly missing?: readonly number[];
    };

export function readAcknowledged(path: string): readonly Acknowledgement[] {
  const lines = readFileSync(path, { encoding: "utf8", flag: "a+" }).split("\n");
  return lines.filter((line) => line !== "").map((line) => JSON.parse(line) as Acknowledgement);
}

/** Everything that was acknowledged is there; with `audit`, the books of what it touched balance. */
export async function checkAcknowledged(
  broker: Broker,
  acknowledged: readonly Acknowledgement[],
  audit: boolean,
): Promise<void> {
  assert.deepEqual(await missingOf(broker, acknowledged), []);
  if (!audit) return;
  for (const executionId of new Set(acknowledged.map((one) => one.executionId)))
    await auditExecution(broker, await broker.getExecution({ executionId }));
}

/** What was acknowledged and is not there. */
export async function missingOf(
  broker: Broker,
  acknowledged: readonly Acknowledgement[],
): Promise<readonly Acknowledgement[]> {
  const missing: Acknowledgement[] = [];
  for (const [executionId, list] of Map.groupBy(acknowledged, (one) => one.executionId)) {
    const view = await viewOf(broker, executionId);
    const committed = view === undefined ? new Set<string>() : await committedItems(broker, executionId);
    missing.push(...list.filter((one) => !isThere(one, view, committed)));
  }
  return missing;
}

async function viewOf(broker: Broker, executionId: string): Promise<ExecutionView | undefined> {
  try {
    return await broker.getExecution({ executionId });
  } catch (error) {
    if (HoldfastError.is(error, "EXECUTION_NOT_FOUND")) return undefined;
    throw error;
  }
}

function isThere(one: Acknowledgement, view: ExecutionView | undefined, committed: ReadonlySet<string>): boolean {
  if (view === undefined) return false;
  switch (one.kind) {
    case "submit":
      return view.key === one.key && view.counters.total >= one.total;
    case "extend":
      return view.counters.total >= one.total;
    case "cancel":
      return view.state === "cancelled";
    case "commit":
      return itemsOf(one).every((item) => committed.has(item));
  }
}

function itemsOf(commit: Extract<Acknowledgement, { kind: "commit" }>): readonly string[] {
  const [start, end] = commit.items ?? [0, 1];
  const missing = new Set(commit.missing ?? []);
  return Array.from({ length: end - start }, (_, index) => start + index)
    .filter((item) => !missing.has(item))
    .map((item) => `${commit.task}/${item}`);
}

/** Items that have a result; one that has two fails. */
async function committedItems(broker: Broker, executionId: string): Promise<ReadonlySet<string>> {
  const items = new Set<string>();
  for (const row of await allResults(broker, executionId)) {
    const range = row.end === undefined ? {} : { items: [row.start ?? 0, row.end] as const };
    for (const item of itemsOf({ kind: "commit", executionId, task: row.task, missing: row.missing ?? [], ...range })) {
      assert.ok(!items.has(item), `${executionId}: ${item} was committed twice`);
      items.add(item);
    }
  }
  return items;
}
