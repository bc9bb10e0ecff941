/**
 * Recorded workflows in WfFormat 1.5 as workflows of Holdfast: every task becomes a node that takes as
 * long as the recorded one did, scaled, and hands on as many bytes as its files had, if asked.
 */
import { MAX_PAYLOAD } from "../../broker/limits.ts";
import { MAX_NAME } from "../../broker/schema-parts.ts";
import { analyse, type Graph, linkCount, linked, listSchedule, makespanBounds, readGraph } from "../../core/graph.ts";
import { DEFAULT_RETRY } from "../../core/retry.ts";
import { isPlainObject, shown } from "../../core/untrusted.ts";
import { HoldfastError } from "../../errors/index.ts";
import type { GroupHead, Json, NodeHandler } from "./node.ts";
import type { PlannedNode, WorkflowPlan } from "./plan.ts";
import { parseWfDocument, type WfDocument, WfProblems, type WfTask } from "./wf-format-schema.ts";

/** A file that was read and makes sense. Nodes are its tasks, by index. */
export interface WfInstance {
  readonly name: string;
  /** Ids as nodes may have them: like the tasks' own, but for characters that nodes may not have. */
  readonly ids: readonly string[];
  readonly graph: Graph;
  readonly runtimesMs: Float64Array;
  /** Of the files that each writes, in sum. */
  readonly outputBytes: Float64Array;
  /** Of the run that was recorded, milliseconds. */
  readonly recordedMakespanMs?: number;
}

export interface WfPlanOptions {
  /** 1: as long as recorded; 0.001: a second becomes a millisecond. */
  readonly timeScale: number;
  /** Default `default`. */
  readonly pool?: string;
  /** Results as large as the recorded files, but for those that are too large to be results. Default false. */
  readonly files?: boolean;
  readonly key?: string;
}

export interface WfFacts {
  readonly nodes: number;
  readonly edges: number;
  /** In sum, scaled. */
  readonly workMs: number;
  readonly criticalPathMs: number;
  /** No run with so many slots is shorter. */
  readonly lowerBoundMs: number;
  /** What a run would take if Holdfast took no time: by the critical path, and first come first served. */
  readonly estimatedMs: number;
  readonly fifoMs: number;
  readonly recordedMakespanMs?: number;
}

const TASKS = "workflow.specification.tasks";
const RUNS = "workflow.execution.tasks";
const MAX_NODE_ID = 200;
/** A result of this many bytes costs what a result may; files are mostly larger. */
const MAX_OUTPUT_BYTES = 65_536;
/** A replay does nothing that could kill a worker: however many die under it, it is not its fault. */
const MAX_REPLAY_LOSSES = 10_000;

/** A file that means to be one, whatever its version and faults. */
export function isWfFormat(json: unknown): boolean {
  return isPlainObject(json) && json["schemaVersion"] !== undefined && isPlainObject(json["workflow"]);
}

/** Errors: INVALID_FILE with the first problems, each with its path. `file` is named in it. */
export function readWfFormat(json: unknown, file: string): WfInstance {
  const problems = new WfProblems();
  const document = parseWfDocument(json, problems);
  const instance = document === undefined ? undefined : instanceOf(document, problems);
  if (instance === undefined) throw new HoldfastError("INVALID_FILE", { file, problem: problems.toString() });
  return instance;
}

function instanceOf(document: WfDocument, problems: WfProblems): WfInstance | undefined {
  const { name, tasks, files, recordedMakespanS } = document;
  const graph = graphOfTasks(tasks, problems);
  const runtimesMs = runtimesOf(document, problems);
  if (graph === undefined || !problems.isEmpty) return undefined;
  const sizes = new Map(files.map(({ id, sizeInBytes }) => [id, sizeInBytes]));
  const outputBytes = Float64Array.from(tasks, ({ outputFiles = [] }) =>
    outputFiles.reduce((sum, written) => sum + (sizes.get(written) ?? 0), 0),
  );
  return {
    name,
    ids: nodeIds(tasks.map(({ id }) => id)),
    graph,
    runtimesMs,
    outputBytes,
    ...(recordedMakespanS === undefined ? {} : { recordedMakespanMs: toMicroseconds(recordedMakespanS * 1_000) }),
  };
}

/** Edges may be told by either end; most files tell them by both. */
function graphOfTasks(tasks: readonly WfTask[], problems: WfProblems): Graph | undefined {
  const indexes = new Map<string, number>();
  tasks.forEach(({ id }, index) => {
    if (!indexes.has(id)) indexes.set(id, index);
  });
  // Of each task the places of the parents that only name it as their child, after those that it names itself.
  const placesOfMore = new Map<number, string[]>();
  const nodes = tasks.map(({ id, parents }) => ({ id, after: [...parents] }));
  const named = tasks.map(({ parents }) => new Set(parents));
  tasks.forEach(({ id, children }, task) => {
    children.forEach((child, at) => {
      const place = `${TASKS}[${task}].children[${at}]`;
      const index = indexes.get(child);
      if (index === undefined) problems.add(place, `is ${shown(child)}, and there is no such task`);
      else if (named[index]?.has(id) === false) {
        named[index]?.add(id);
        nodes[index]?.after.push(id);
        placesOfMore.set(index, [...(placesOfMore.get(index) ?? []), place]);
      }
    });
  });
  const read = readGraph(nodes, { words: { one: "task", list: "tasks" }, allowRepeats: true });
  for (const { node, dependency, problem } of read.problems ?? []) {
    const own = tasks[node]?.parents.length ?? 0;
    const path =
      dependency === undefined
        ? `${TASKS}[${node}].id`
        : (placesOfMore.get(node)?.[dependency - own] ?? `${TASKS}[${node}].parents[${dependency}]`);
    problems.add(path, problem);
  }
  return read.graph;
}

function runtimesOf({ tasks, runs }: WfDocument, problems: WfProblems): Float64Array {
  const known = new Set(tasks.map(({ id }) => id));
  const runtimes = new Map<string, number>();
  runs.forEach(({ id, runtimeInSeconds }, run) => {
    const path = `${RUNS}[${run}].id`;
    if (!known.has(id)) problems.add(path, `is ${shown(id)}, and there is no such task in ${TASKS}`);
    else if (runtimes.has(id)) problems.add(path, `is ${shown(id)}, which is there before`);
    else runtimes.set(id, toMicroseconds(runtimeInSeconds * 1_000));
  });
  return Float64Array.from(tasks, ({ id }, task) => {
    const runtimeMs = runtimes.get(id);
    if (runtimeMs === undefined)
      problems.add(`${TASKS}[${task}]`, `${shown(id)} is not in ${RUNS}: how long it took is not known`);
    return runtimeMs ?? 0;
  });
}

function nodeIds(ids: readonly string[]): readonly string[] {
  const taken = new Set<string>();
  // Where to go on counting: a file may have any number of ids that differ only in what is replaced.
  const counted = new Map<string, number>();
  return ids.map((id) => {
    const plain = id.replace(/[^\w.-]/g, "_").slice(0, MAX_NODE_ID);
    let number = counted.get(plain) ?? 1;
    let unique = number === 1 ? plain : `${plain}-${number}`;
    while (taken.has(unique)) unique = `${plain}-${(number += 1)}`;
    counted.set(plain, number);
    taken.add(unique);
    return unique;
  });
}

/** Errors: INVALID_INPUT for a time scale that is none. */
export function wfFormatPlan(instance: WfInstance, options: WfPlanOptions): WorkflowPlan {
  const { graph, ids, name } = instance;
  const { pool = "default", files = false, key } = options;
  const durationsMs = scaledMs(instance, options.timeScale);
  const head = replayHead(pool);
  const mostBytes = largestOutput(graph);
  const nodes = ids.map((id, node): PlannedNode => {
    const ms = durationsMs[node] ?? 0;
    const outputBytes = Math.min(mostBytes, instance.outputBytes[node] ?? 0);
    const input: Json = files ? { ms, outputBytes } : { ms };
    const after = Array.from(linked(graph.parents, node), (parent) => ids[parent] ?? "");
    return { id, after, uses: [], head, input: { node: id, input }, estimateMs: ms };
  });
  return {
    name: name.slice(0, MAX_NAME),
    nodes,
    priority: 5,
    keepInputs: true,
    ...(key === undefined ? {} : { key }),
  };
}

function replayHead(pool: string): GroupHead {
  const handler: NodeHandler = { kind: "node", does: { kind: "replay" } };
  return {
    name: "replay",
    handler: JSON.stringify(handler),
    pool,
    requires: [],
    retry: DEFAULT_RETRY,
    maxLosses: MAX_REPLAY_LOSSES,
  };
}

/** The results of all parents of a task travel in one lease. */
function largestOutput({ nodes, parents }: Graph): number {
  let mostParents = 1;
  for (let node = 0; node < nodes; node += 1) mostParents = Math.max(mostParents, linkCount(parents, node));
  return Math.min(MAX_OUTPUT_BYTES, Math.floor(MAX_PAYLOAD / mostParents));
}

function scaledMs({ runtimesMs }: WfInstance, timeScale: number): Float64Array {
  if (!(timeScale >= 0 && timeScale <= 1_000)) {
    throw new HoldfastError("INVALID_INPUT", {
      path: "timeScale",
      problem: `is ${shown(timeScale)}; expected a number from 0 to 1000, such as 0.001`,
    });
  }
  return runtimesMs.map((runtimeMs) => toMicroseconds(runtimeMs * timeScale));
}

/** No timer is finer. */
function toMicroseconds(ms: number): number {
  return Math.round(ms * 1_000) / 1_000;
}

/** What is known before it runs, for a run with so many slots at that scale. */
export function wfFormatFacts(
  instance: WfInstance,
  { timeScale, slots }: { readonly timeScale: number; readonly slots: number },
): WfFacts {
  const { graph, recordedMakespanMs } = instance;
  const durationsMs = scaledMs(instance, timeScale);
  const capacity = { slots };
  const analysis = analyse(graph, durationsMs);
  const { criticalPathMs, workMs, lowerBoundMs } = makespanBounds({ durationsMs, analysis, capacity });
  return {
    nodes: graph.nodes,
    edges: graph.edges,
    workMs,
    criticalPathMs,
    lowerBoundMs,
    estimatedMs: listSchedule(graph, { durationsMs, capacity, by: "rank", ranks: analysis.remainingMs }).makespanMs,
    fifoMs: listSchedule(graph, { durationsMs, capacity, by: "fifo" }).makespanMs,
    ...(recordedMakespanMs === undefined ? {} : { recordedMakespanMs }),
  };
}
