/** Work to submit: tasks that do nothing, so that what remains is Holdfast. */
import type { Broker, Submission, TaskGroup } from "../src/broker/contract.ts";
import { DEFAULT_MAX_LOSSES, DEFAULT_RETRY } from "../src/core/retry.ts";

/** 100 characters, the size that the published figures of other systems are for. */
const INPUT = JSON.stringify("x".repeat(98));

export function noOpTasks(count: number): Submission {
  return tasksWith(noOpInputs(count));
}

/** One task for each of these JSON texts. */
export function tasksWith(inputs: readonly string[]): Submission {
  return submission("batch", { kind: "tasks", inputs });
}

/** An array in chunks of about one second of work, as a sweep makes it. */
export function noOpArray(length: number): Submission {
  const chunk = { kind: "adaptive", targetMs: 1_000, min: 1, max: 10_000 } as const;
  const source = JSON.stringify({ space: { kind: "range", from: 0, count: length } });
  return submission("sweep", { kind: "array", length, chunk, source, results: "discard" });
}

export function noOpInputs(count: number): string[] {
  return Array.from({ length: count }, () => INPUT);
}

/** Submits `count` tasks as executions of 20,000 and returns their ids with their sizes. */
export async function submitNoOps(broker: Broker, count: number): Promise<ReadonlyMap<string, number>> {
  const sizes = new Map<string, number>();
  for (let left = count; left > 0; left -= 20_000) {
    const size = Math.min(left, 20_000);
    const { executions } = await broker.submit({ submissions: [noOpTasks(size)] });
    for (const { executionId } of executions) sizes.set(executionId, size);
  }
  return sizes;
}

function submission(kind: Submission["kind"], work: TaskGroup["work"]): Submission {
  const group: TaskGroup = {
    name: "no-op",
    handler: JSON.stringify({ kind: "function", module: "bench:none", task: "no-op" }),
    pool: "default",
    requires: [],
    retry: DEFAULT_RETRY,
    maxLosses: DEFAULT_MAX_LOSSES,
    work,
  };
  return { name: "no-op", kind, priority: 5, groups: [group] };
}
