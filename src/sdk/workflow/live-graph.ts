/** The graph of a workflow that runs: its nodes with their states, and what is left of its critical path. */
import type { TaskView } from "../../broker/contract.ts";
import { measuredLabel } from "../../core/durations.ts";
import { estimatesOf, type Graph, readGraph } from "../../core/graph.ts";
import { HoldfastError } from "../../errors/index.ts";
import type { Clock } from "../../util/clock.ts";
import { measuredDurations } from "./durations.ts";
import { EditBuilder, type WorkflowEditor } from "./edit-builder.ts";
import { type EditOrigin, previewEdit, type WorkflowEdit } from "./edit.ts";
import { type NodesParams, readTasks } from "./nodes.ts";
import {
  type GraphView,
  type LiveNode,
  type RemainingOptions,
  type RemainingPlan,
  remainingPlan,
} from "./remaining.ts";

/** Thought to take as long as this where nothing was measured, milliseconds. */
const UNKNOWN_MS = 1_000;

export interface LiveGraphParams extends NodesParams {
  readonly clock: Clock;
}

/** As it was when it was read; `refresh` reads it again. */
export class LiveGraph implements GraphView {
  readonly nodes: readonly LiveNode[];
  readonly graph: Graph;
  readonly durationsMs: Float64Array;
  readonly #params: LiveGraphParams;
  readonly #indexes: ReadonlyMap<string, number>;

  constructor(params: LiveGraphParams, nodes: readonly LiveNode[], durationsMs: Float64Array) {
    const { graph } = readGraph(nodes, { allowRepeats: true });
    if (graph === undefined) throw new HoldfastError("INTERNAL", { problem: "its tasks wait for each other" });
    this.#params = params;
    this.nodes = nodes;
    this.graph = graph;
    this.durationsMs = durationsMs;
    this.#indexes = new Map(nodes.map(({ id }, index) => [id, index]));
  }

  /** @throws HoldfastError INVALID_OPTION when there is no such node. */
  node(id: string): LiveNode {
    const found = this.nodes[this.indexOf(id) ?? -1];
    if (found !== undefined) return found;
    throw new HoldfastError("INVALID_OPTION", { option: "node", value: id, expected: "a node of the execution" });
  }

  has(id: string): boolean {
    return this.#indexes.has(id);
  }

  indexOf(id: string): number | undefined {
    return this.#indexes.get(id);
  }

  /** What is left of it now. */
  remaining(options: RemainingOptions = {}): RemainingPlan {
    return remainingPlan(this.graph, { ...options, stands: this.nodes, durationsMs: this.durationsMs });
  }

  refresh(): Promise<LiveGraph> {
    return readLiveGraph(this.#params);
  }

  /**
   * What an edit would do now; `apply` does it. Nodes are named by id; new ones are made as in
   * `defineWorkflow`, after those that are there: `e.node("schema")`.
   *
   * @throws HoldfastError INVALID_WORKFLOW with all that is wrong, EXECUTION_ENDED, INVALID_OPTION.
   * @example
   * const edit = await graph.edit((e) => {
   *   const lint = e.task("lint", lintApi, { after: { api: e.node("api") } });
   *   e.rewire("deploy", [e.node("tests"), lint]);
   * });
   * if (edit.after.remainingMs < 60_000) await edit.apply();
   */
  async edit(build: (e: WorkflowEditor) => void, options: RemainingOptions = {}): Promise<WorkflowEdit> {
    const builder = new EditBuilder(this);
    // What is there takes any argument; its types are for those who write in TypeScript.
    build(builder as unknown as WorkflowEditor);
    const origin: EditOrigin = { broker: this.#params.broker, executionId: this.#params.executionId, graph: this };
    return previewEdit(origin, builder.requests(), options);
  }
}

export async function readLiveGraph(params: LiveGraphParams): Promise<LiveGraph> {
  const tasks: TaskView[] = [];
  for await (const task of readTasks(params, undefined, { children: true })) tasks.push(task);
  const { name } = await params.broker.getExecution({ executionId: params.executionId });
  const idOf = idsOf(tasks);
  const after = new Map<number, string[]>();
  for (const { task, children = [] } of tasks) {
    for (const child of children) {
      const parents = after.get(child) ?? [];
      parents.push(idOf.get(task) ?? "");
      after.set(child, parents);
    }
  }
  const nodes = tasks.map((task) => toLiveNode(task, idOf.get(task.task) ?? "", after.get(task.task) ?? []));
  const measured = await measuredDurations(params.broker, name, params.clock);
  const estimates = estimatesOf(tasks);
  const durationsMs = Float64Array.from(
    nodes,
    ({ id, durationMs }, index) => durationMs ?? measured.get(measuredLabel(id)) ?? estimates[index] ?? UNKNOWN_MS,
  );
  return new LiveGraph(params, nodes, durationsMs);
}

/** By number. A node that has run again may have added parts of the same names: the last ones are meant. */
function idsOf(tasks: readonly TaskView[]): ReadonlyMap<number, string> {
  const last = new Map(tasks.map(({ task, label }) => [label ?? String(task), task]));
  return new Map(
    tasks.map(({ task, label = String(task) }) => [task, last.get(label) === task ? label : `${label}~${task}`]),
  );
}

function toLiveNode(view: TaskView, id: string, after: readonly string[]): LiveNode {
  const { task, pool, state, attempts, worker, durationMs, rank, held } = view;
  return {
    id,
    task,
    pool,
    state,
    attempts,
    after,
    ...(worker === undefined ? {} : { worker }),
    ...(durationMs === undefined ? {} : { durationMs }),
    ...(rank === undefined ? {} : { rank }),
    ...(held === undefined ? {} : { held }),
  };
}
