/** Short ways to edit an execution, and to see what came of it. */
import assert from "node:assert/strict";
import type { Edit, EditChanges, EditReply, Lease, TaskView } from "../../src/broker/contract.ts";
import type { FakeWorker } from "../support/fake-worker.ts";
import { group, tasks } from "../support/submissions.ts";
import { allEvents, allTasks } from "./audit.ts";
import type { World } from "./world.ts";

/** What an edit says that does nothing. */
export const NOTHING: EditChanges = {
  added: 0,
  addedSkipped: 0,
  removed: [],
  removedCount: 0,
  skipped: [],
  skippedCount: 0,
  rewired: 0,
  rerun: [],
  rerunCount: 0,
  ranked: 0,
  held: 0,
  unheld: 0,
  restored: [],
  restoredCount: 0,
};

export function remove(...numbers: readonly number[]): Edit {
  return { kind: "remove", tasks: numbers };
}

export function add(after: readonly (readonly number[])[], changes: Parameters<typeof group>[1] = {}): Edit {
  return { kind: "add", groups: [group(tasks(after.length, after), changes)] };
}

export function rewire(task: number, ...after: readonly number[]): Edit {
  return { kind: "rewire", task, after };
}

/** By task number. */
export function rank(ranks: Readonly<Record<number, number>>): Edit {
  return { kind: "rank", tasks: Object.keys(ranks).map(Number), ranks: Object.values(ranks) };
}

export function hold(...numbers: readonly number[]): Edit {
  return { kind: "hold", tasks: numbers };
}

export function unhold(...numbers: readonly number[]): Edit {
  return { kind: "unhold", tasks: numbers };
}

export const UNDO: Edit = { kind: "undo" };

export function preview(world: World, executionId: string, ...edits: readonly Edit[]): Promise<EditReply> {
  return world.broker.editExecution({ executionId, edits, apply: false });
}

export function apply(world: World, executionId: string, ...edits: readonly Edit[]): Promise<EditReply> {
  return world.broker.editExecution({ executionId, edits, apply: true });
}

/** Applies what its preview says; that both say the same is checked here. */
export async function applyAsPreviewed(
  world: World,
  executionId: string,
  ...edits: readonly Edit[]
): Promise<EditChanges> {
  const { changes, version } = await preview(world, executionId, ...edits);
  const applied = await world.broker.editExecution({ executionId, edits, apply: true, version });
  assert.deepEqual(applied.changes, changes);
  return changes;
}

export async function take(worker: FakeWorker, task: number): Promise<Lease> {
  const lease = await worker.take();
  assert.equal(lease.task, task);
  return lease;
}

/** Finishes what is there until nothing is; the numbers in the order in which they came. */
export async function finishAll(worker: FakeWorker): Promise<number[]> {
  const finished: number[] = [];
  for (let leases = await worker.leases(50); leases.length > 0; leases = await worker.leases(50)) {
    await worker.finish(...leases);
    finished.push(...leases.map(({ task }) => task));
  }
  return finished;
}

/** Takes one task after the other; their numbers in that order. */
export async function numbersTaken(worker: FakeWorker, count: number): Promise<number[]> {
  const numbers: number[] = [];
  for (let at = 0; at < count; at += 1) numbers.push((await worker.take()).task);
  return numbers;
}

export async function statesOf(world: World, executionId: string): Promise<TaskView["state"][]> {
  return (await allTasks(world.broker, executionId)).map(({ state }) => state);
}

export async function taskOf(world: World, executionId: string, task: number): Promise<TaskView> {
  const view = (await allTasks(world.broker, executionId))[task];
  assert.ok(view !== undefined);
  return view;
}

/** Moves that events tell with this reason, in order: `task state`. */
export async function movesTold(world: World, executionId: string, reason: string): Promise<string[]> {
  return (await allEvents(world.broker, executionId)).flatMap(({ change }) =>
    change.kind === "tasks" && change.reason === reason
      ? change.tasks.map((entry) => `${JSON.stringify(entry)} ${change.state}`)
      : [],
  );
}

/** Tasks that events say were skipped, with the reason. */
export async function skipsTold(world: World, executionId: string): Promise<[number[], string | undefined][]> {
  return (await allEvents(world.broker, executionId)).flatMap(({ change }) =>
    change.kind === "tasks" && change.state === "skipped" ? [[change.tasks as number[], change.reason]] : [],
  );
}
