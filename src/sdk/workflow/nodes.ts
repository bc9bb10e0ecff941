/** The nodes of a workflow that runs: what each is doing, live, and what came out of it. */
import { type BrokerEvent, FROM_NOW, type ListTasksParams, type TaskView } from "../../broker/contract.ts";
import { MAX_PAGE } from "../../broker/limits.ts";
import { isExecutionEnded, type TaskState } from "../../core/states.ts";
import { HoldfastError } from "../../errors/index.ts";
import { orAborted } from "../../util/or-aborted.ts";
import type { ClientBroker } from "../client-broker.ts";
import { followEvents } from "../follow.ts";

/** A node, or a part of one (`tests[3]`, `build/compile`), in the state in which it is now. */
export interface NodeStatus {
  readonly id: string;
  /** Its task number. */
  readonly task: number;
  readonly pool: string;
  readonly state: TaskState;
  /** Attempts that were started. */
  readonly attempts: number;
  /** The worker that runs it, or ran it last. */
  readonly worker?: string;
  /** Why it moved, where the state alone does not tell: `retry`, `lost`, `suspended`, `signal` … */
  readonly reason?: string;
  /** Of the attempt that completed it, milliseconds; not of nodes that completed while they were watched. */
  readonly durationMs?: number;
}

export interface NodesParams {
  readonly broker: ClientBroker;
  readonly executionId: string;
  readonly signal?: AbortSignal | undefined;
}

export interface TasksParams extends Omit<NodesParams, "broker"> {
  readonly broker: Pick<ClientBroker, "listTasks">;
}

/** All tasks by number, those after one. The last page is an empty one: where results are long, others may be short. */
export async function* readTasks(
  { broker, executionId, signal }: TasksParams,
  after?: number,
  { children = false, states }: Pick<ListTasksParams, "children" | "states"> = {},
): AsyncGenerator<TaskView, void> {
  let last = after;
  for (;;) {
    const { tasks } = await orAborted(
      broker.listTasks({
        executionId,
        limit: MAX_PAGE,
        ...(last === undefined ? {} : { after: last }),
        ...(children ? { children } : {}),
        ...(states === undefined ? {} : { states }),
      }),
      signal,
    );
    if (tasks.length === 0) return;
    yield* tasks;
    last = tasks.at(-1)?.task;
  }
}

/** Results of nodes by id, without those of parts. */
export async function outputsOf(params: NodesParams): Promise<Readonly<Record<string, unknown>>> {
  const outputs: [string, unknown][] = [];
  for await (const { label, result } of readTasks(params)) {
    if (label !== undefined && result !== undefined && isWhole(label)) outputs.push([label, JSON.parse(result)]);
  }
  return Object.fromEntries(outputs);
}

/**
 * The number of a node, or of a part of one: a node that ran again may have added parts of the same names, of
 * which the last is meant.
 *
 * @throws HoldfastError TASK_UNKNOWN.
 */
export async function taskOf(params: TasksParams, id: string): Promise<number> {
  let found: number | undefined;
  for await (const { task, label } of readTasks(params)) {
    if (label !== id) continue;
    found = task;
    if (isWhole(id)) break;
  }
  if (found !== undefined) return found;
  throw new HoldfastError("TASK_UNKNOWN", { execution: params.executionId, task: JSON.stringify(id) });
}

/** Ids of nodes that failed for good, and of parts, by number. */
export async function failedNodes(params: NodesParams): Promise<ReadonlyMap<number, string>> {
  const ids = new Map<number, string>();
  for await (const { task, label } of readTasks(params, undefined, { states: ["failed"] }))
    if (label !== undefined) ids.set(task, label);
  return ids;
}

/** Parts are called after the node that has added them: `tests[3]`, `build/compile`. */
export function isWhole(label: string): boolean {
  return !/[/[(]/.test(label);
}

/** Every node as it is, then every change, until the execution has ended. */
export async function* followNodes(params: NodesParams): AsyncGenerator<NodeStatus, void> {
  const { broker, executionId, signal } = params;
  // Before the first look, so that nothing falls between the two.
  const { cursor } = await orAborted(broker.readEvents({ executionId, cursor: FROM_NOW, limit: 1 }), signal);
  const nodes = new Map<number, NodeStatus>();
  let last: number | undefined;
  const learn = async function* (): AsyncGenerator<NodeStatus, void> {
    for await (const task of readTasks(params, last)) {
      const node = toStatus(task);
      nodes.set(task.task, node);
      last = task.task;
      yield node;
    }
  };
  yield* learn();
  if (await hasEnded(params)) return;
  for await (const { events } of followEvents(broker, { executionId, cursor, signal })) {
    for (const event of events) {
      if (numbersOf(event).some((task) => !nodes.has(task))) yield* learn();
      yield* changesOf(event, nodes);
      if (event.change.kind === "execution" && isExecutionEnded(event.change.state)) return;
    }
    // The last event may have been purged.
    if (events.length === 0 && (await hasEnded(params))) return;
  }
}

async function hasEnded({ broker, executionId, signal }: NodesParams): Promise<boolean> {
  return isExecutionEnded((await orAborted(broker.getExecution({ executionId }), signal)).state);
}

function numbersOf({ change }: BrokerEvent): readonly number[] {
  return change.kind === "tasks" ? change.tasks.filter((task) => typeof task === "number") : [];
}

function* changesOf(event: BrokerEvent, nodes: Map<number, NodeStatus>): Generator<NodeStatus, void> {
  const { change } = event;
  if (change.kind !== "tasks") return;
  const { state, worker, reason } = change;
  for (const number of numbersOf(event)) {
    const known = nodes.get(number);
    if (known === undefined || (known.state === state && reason === undefined)) continue;
    const { reason: _earlier, worker: lastWorker = worker, ...rest } = known;
    const node: NodeStatus = {
      ...rest,
      state,
      attempts: known.attempts + (state === "running" ? 1 : 0),
      ...(lastWorker === undefined ? {} : { worker: worker ?? lastWorker }),
      ...(reason === undefined ? {} : { reason }),
    };
    nodes.set(number, node);
    yield node;
  }
}

function toStatus({ task, label, name, pool, state, attempts, worker, durationMs, suspended }: TaskView): NodeStatus {
  return {
    id: label ?? name,
    task,
    pool,
    state,
    attempts,
    ...(worker === undefined ? {} : { worker }),
    ...(suspended === undefined ? {} : { reason: "suspended" }),
    ...(durationMs === undefined ? {} : { durationMs }),
  };
}
