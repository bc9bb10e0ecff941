/** Edits of a workflow that runs, by the ids of its nodes: from what a program asks to the broker's edits, which go by numbers. */
import type { Edit, EditChanges, TaskGroup } from "../../broker/contract.ts";
import type { ClientBroker } from "../client-broker.ts";
import { ExecutionEdit } from "../edit.ts";
import { rankOf, remainingWays, readGraph } from "../../core/graph.ts";
import type { EditRequests } from "./edit-builder.ts";
import type { NodeInput } from "./node.ts";
import { toPlanned } from "./planned-nodes.ts";
import { type AnyNode, type GraphView, remainingPlan, type RemainingOptions, type RemainingPlan } from "./remaining.ts";

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
  { broker, executionId, graph }: EditOrigin,
  requests: EditRequests,
  options: RemainingOptions,
): Promise<WorkflowEdit> {
  const nodes = nodesAfter(graph, requests);
  const edits = editsOf(graph, requests, nodes);
  const reply = await broker.editExecution({ executionId, edits, apply: false });
  const edit = new ExecutionEdit(broker, edits, reply);
  const estimates = new Map(requests.added.map(({ id, estimateMs }) => [id, estimateMs]));
  const durationOf = (node: AnyNode): number => estimates.get(node.id) ?? graph.durationOf(node);
  return {
    changes: reply.changes,
    before: graph.remaining(options),
    after: remainingPlan(nodes, { ...options, durationOf }),
    apply: () => edit.apply(),
  };
}

/** The graph as it will be. What comes after a removed node goes with it. */
function nodesAfter({ nodes }: GraphView, { added, removed, rewired }: EditRequests): readonly AnyNode[] {
  const gone = new Set(removed);
  const all: AnyNode[] = [
    ...nodes.map((node) => ({ ...node, after: rewired.get(node.id) ?? node.after })),
    ...added.map(({ id, after }): AnyNode => ({ id, after, state: "blocked" })),
  ];
  // Until nothing more goes: parents may stand after their children where they were rewired.
  for (let before = -1; before !== gone.size;) {
    before = gone.size;
    for (const { id, after, state } of all)
      if (state !== "completed" && after.some((parent) => gone.has(parent))) gone.add(id);
  }
  return all
    .filter(({ id }) => !gone.has(id))
    .map((node) => ({ ...node, after: node.after.filter((id) => !gone.has(id)) }));
}

function editsOf(graph: GraphView, requests: EditRequests, nodes: readonly AnyNode[]): readonly Edit[] {
  const { added, removed, rewired, priorities, held, unheld } = requests;
  const first = graph.nodes.reduce((highest, { task }) => Math.max(highest, task + 1), 0);
  const numbers = new Map(graph.nodes.map(({ id, task }) => [id, task]));
  added.forEach(({ id }, at) => numbers.set(id, first + at));
  const numberOf = (id: string): number => numbers.get(id) ?? 0;
  const ranks = ranksOf(graph, requests, nodes);
  const ranked = [...priorities.keys()];
  return [
    ...(removed.length === 0 ? [] : [{ kind: "remove", tasks: removed.map(numberOf) } as const]),
    ...(added.length === 0 ? [] : [{ kind: "add", groups: groupsOf(requests, numberOf, ranks) } as const]),
    ...[...rewired].map(([id, after]): Edit => ({ kind: "rewire", task: numberOf(id), after: after.map(numberOf) })),
    ...(ranked.length === 0
      ? []
      : [{ kind: "rank", tasks: ranked.map(numberOf), ranks: ranked.map((id) => ranks.get(id) ?? 0) } as const]),
    ...(held.length === 0 ? [] : [{ kind: "hold", tasks: held.map(numberOf) } as const]),
    ...(unheld.length === 0 ? [] : [{ kind: "unhold", tasks: unheld.map(numberOf) } as const]),
  ];
}

/** By the longest way to the end as it will be. */
function ranksOf(
  live: GraphView,
  { added, priorities }: EditRequests,
  nodes: readonly AnyNode[],
): ReadonlyMap<string, number> {
  const { graph } = readGraph(nodes, { allowRepeats: true });
  if (graph === undefined) return new Map();
  const specs = new Map(added.map((spec) => [spec.id, spec]));
  const durationsMs = nodes.map((node) => specs.get(node.id)?.estimateMs ?? live.durationOf(node));
  const ways = remainingWays(graph, durationsMs);
  return new Map(
    nodes.map(({ id }, index) => [id, rankOf(priorities.get(id) ?? specs.get(id)?.priority, ways[index] ?? 0)]),
  );
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
