/** Edits of a workflow that runs, by the ids of its nodes: from what a program asks to the broker's edits, which go by numbers. */
import type { Edit, EditChanges, TaskGroup } from "../../broker/contract.ts";
import type { ClientBroker } from "../client-broker.ts";
import { ExecutionEdit } from "../edit.ts";
import { changedGraph, type Graph, linked, priorityOf, rankOf, remainingWays } from "../../core/graph.ts";
import { isTaskEnded, type TaskState } from "../../core/states.ts";
import type { EditRequests } from "./edit-builder.ts";
import type { NodeInput } from "./node.ts";
import { toPlanned } from "./planned-nodes.ts";
import {
  type GraphView,
  type LiveNode,
  remainingPlan,
  type RemainingOptions,
  type RemainingPlan,
} from "./remaining.ts";

/** Nodes that get another rank because of an edit, beside those that are prioritised. */
const MAX_RANKS_CHANGED = 2_000;

export interface EditOrigin {
  readonly broker: ClientBroker;
  readonly executionId: string;
  readonly graph: GraphView;
}

/** What an edit would do when it was asked; nothing has been changed yet. */
export interface WorkflowEdit {
  readonly changes: EditChanges;
  /** What is left to do without it, and with it. */
  readonly before: RemainingPlan;
  readonly after: RemainingPlan;
  /**
   * Does what `changes` says, in one step.
   *
   * @throws HoldfastError EDIT_CONFLICT when it would do something else by now; EXECUTION_ENDED, QUEUE_FULL.
   */
  apply(): Promise<EditChanges>;
}

export async function previewEdit(
  { broker, executionId, graph: live }: EditOrigin,
  requests: EditRequests,
  options: RemainingOptions,
): Promise<WorkflowEdit> {
  const edited = editedGraph(live, requests);
  const edits = editsOf(live, requests, edited);
  const reply = await broker.editExecution({ executionId, edits, apply: false });
  const edit = new ExecutionEdit(broker, edits, reply);
  const { graph, stands, durationsMs } = edited;
  return {
    changes: reply.changes,
    before: live.remaining(options),
    // An edit that would make it no graph is refused by the broker.
    after: graph === undefined ? live.remaining(options) : remainingPlan(graph, { ...options, stands, durationsMs }),
    apply: () => edit.apply(),
  };
}

/** The graph as it will be: nodes that are there keep their indexes, new ones follow. */
interface EditedGraph {
  /** Undefined where it would have a cycle. */
  readonly graph: Graph | undefined;
  readonly stands: readonly Pick<LiveNode, "id" | "state">[];
  readonly durationsMs: Float64Array;
}

function editedGraph(live: GraphView, { added, removed, rewired }: EditRequests): EditedGraph {
  const places = new Map(added.map(({ id }, at) => [id, live.nodes.length + at]));
  const indexOf = (id: string): number[] => {
    const index = places.get(id) ?? live.indexOf(id);
    return index === undefined ? [] : [index];
  };
  const graph = changedGraph(live.graph, {
    parents: new Map(
      [...rewired].flatMap(([id, after]) => indexOf(id).map((index) => [index, after.flatMap(indexOf)])),
    ),
    added: added.map(({ after }) => after.flatMap(indexOf)),
  });
  const states: TaskState[] = [...live.nodes.map(({ state }) => state), ...added.map((): TaskState => "blocked")];
  if (graph !== undefined) skip(graph, states, removed.flatMap(indexOf));
  const ids = [...live.nodes, ...added];
  return {
    graph,
    stands: states.map((state, index) => ({ id: ids[index]?.id ?? "", state })),
    durationsMs: Float64Array.from(
      states,
      (_, index) => live.durationsMs[index] ?? added[index - live.nodes.length]?.estimateMs ?? 0,
    ),
  };
}

/** What comes after a removed node goes with it. */
function skip({ children }: Graph, states: TaskState[], removed: readonly number[]): void {
  const ended = [...removed];
  for (let node = ended.pop(); node !== undefined; node = ended.pop()) {
    if (isTaskEnded(states[node] ?? "skipped")) continue;
    states[node] = "skipped";
    ended.push(...linked(children, node));
  }
}

function editsOf(live: GraphView, requests: EditRequests, edited: EditedGraph): readonly Edit[] {
  const { added, removed, rewired, held, unheld } = requests;
  const first = live.nodes.reduce((highest, { task }) => Math.max(highest, task + 1), 0);
  const places = new Map(added.map(({ id }, at) => [id, first + at]));
  const numberOf = (id: string): number => places.get(id) ?? live.nodes[live.indexOf(id) ?? 0]?.task ?? 0;
  const ranks = newRanks(live, requests, edited);
  const ranked = [...ranks.there.keys()];
  return [
    ...(removed.length === 0 ? [] : [{ kind: "remove", tasks: removed.map(numberOf) } as const]),
    ...(added.length === 0 ? [] : [{ kind: "add", groups: groupsOf(requests, numberOf, ranks.added) } as const]),
    ...[...rewired].map(([id, after]): Edit => ({ kind: "rewire", task: numberOf(id), after: after.map(numberOf) })),
    ...(ranked.length === 0
      ? []
      : [{ kind: "rank", tasks: ranked.map(numberOf), ranks: ranked.map((id) => ranks.there.get(id) ?? 0) } as const]),
    ...(held.length === 0 ? [] : [{ kind: "hold", tasks: held.map(numberOf) } as const]),
    ...(unheld.length === 0 ? [] : [{ kind: "unhold", tasks: unheld.map(numberOf) } as const]),
  ];
}

interface NewRanks {
  /** By id. */
  readonly added: ReadonlyMap<string, number>;
  /** Of nodes that are there and get another: those that are prioritised, and those whose way to the end is another. */
  readonly there: ReadonlyMap<string, number>;
}

function newRanks(
  live: GraphView,
  { added, priorities }: EditRequests,
  { graph, stands, durationsMs }: EditedGraph,
): NewRanks {
  if (graph === undefined) return { added: new Map(), there: new Map() };
  const ways = remainingWays(graph, durationsMs);
  const before = remainingWays(live.graph, live.durationsMs);
  const there = new Map<string, number>();
  // What has changed most matters most; those that stay as they are stand in line a little too early or late.
  const changed: { readonly index: number; readonly byMs: number }[] = [];
  live.nodes.forEach(({ id, rank }, index) => {
    const priority = priorities.get(id);
    if (priority !== undefined) there.set(id, rankOf(priority, ways[index] ?? 0));
    else if (rank !== undefined && !isTaskEnded(stands[index]?.state ?? "skipped")) {
      const byMs = Math.abs((ways[index] ?? 0) - (before[index] ?? 0));
      if (byMs >= 1) changed.push({ index, byMs });
    }
  });
  changed.sort((one, other) => other.byMs - one.byMs);
  for (const { index } of changed.slice(0, MAX_RANKS_CHANGED)) {
    const node = live.nodes[index];
    if (node?.rank !== undefined) there.set(node.id, rankOf(priorityOf(node.rank), ways[index] ?? 0));
  }
  const first = live.nodes.length;
  // Where nodes go by their numbers, a rank would put what is added before all that was there.
  const isRanked = there.size > 0 || added.some(({ priority }) => priority !== undefined);
  if (!isRanked && live.nodes.every(({ rank }) => rank === undefined)) return { added: new Map(), there };
  return {
    added: new Map(added.map(({ id, priority }, at) => [id, rankOf(priority, ways[first + at] ?? 0)])),
    there,
  };
}

/** In the order in which they were made; neighbours that are the same to the broker share a group. */
function groupsOf(
  { added }: EditRequests,
  numberOf: (id: string) => number,
  ranks: ReadonlyMap<string, number>,
): readonly TaskGroup[] {
  const groups: TaskGroup[] = [];
  let last: { readonly head: object; readonly lists: GroupLists } | undefined;
  for (const spec of added) {
    const { id, after, uses, head, input, addsTasks } = toPlanned(spec);
    if (last?.head !== head) {
      const lists: GroupLists = { inputs: [], labels: [], after: [], ranks: [] };
      groups.push({ ...head, work: { kind: "tasks", ...lists } });
      last = { head, lists };
    }
    const rank = ranks.get(id) ?? 0;
    const outputs = Object.fromEntries(uses.map((used) => [used, numberOf(used) - numberOf(id)]));
    const whole: NodeInput = {
      ...input,
      ...(uses.length === 0 ? {} : { outputs }),
      ...(addsTasks === true ? { rank } : {}),
    };
    last.lists.inputs.push(JSON.stringify(whole));
    last.lists.labels.push(id);
    last.lists.after.push(after.map(numberOf));
    last.lists.ranks.push(rank);
  }
  return groups;
}

interface GroupLists {
  readonly inputs: string[];
  readonly labels: string[];
  readonly after: (readonly number[])[];
  readonly ranks: number[];
}
