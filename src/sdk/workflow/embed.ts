/** A workflow as a part of another one: the step that adds its nodes. */
import { MAX_TASKS_PER_CALL } from "../../broker/limits.ts";
import { analyse } from "../../core/graph.ts";
import { arrange } from "./arrange.ts";
import type { WorkflowStep } from "./node.ts";
import { ambiguousNode, withNeeds } from "./part-needs.ts";
import { graphOf, isGraph, toPlanned } from "./planned-nodes.ts";
import { outputOf, type WorkflowSource } from "./source.ts";
import type { NodeSpec, WorkflowSpec } from "./spec.ts";

export interface Embedded {
  readonly step: WorkflowStep;
  /** Length of its critical path. */
  readonly estimateMs: number;
}

const PROBLEMS_TOLD = 3;
const KNOWN = new WeakMap<WorkflowSpec, Embedded>();

/** Undefined when the workflow cannot be a part; `problem` is told why. */
export function embed(source: WorkflowSource, problem: (text: string) => void): Embedded | undefined {
  const spec = source.spec();
  const known = KNOWN.get(spec);
  if (known !== undefined) return known;
  const within = `its workflow ${source.name}`;
  const found = graphOf(spec.nodes);
  const problems = [...spec.problems, ...(isGraph(found) ? [] : found)];
  for (const { path, problem: text } of problems.slice(0, PROBLEMS_TOLD)) problem(`${within}: ${path} ${text}`);
  if (problems.length > PROBLEMS_TOLD) problem(`${within}: and ${problems.length - PROBLEMS_TOLD} more`);
  const undoing = spec.nodes.find(({ undoes }) => undoes);
  if (undoing !== undefined)
    problem(`${within}: node ${undoing.id} compensates; only the workflow that is submitted can`);
  const ambiguous = ambiguousNode(spec.nodes);
  if (ambiguous !== undefined)
    problem(
      `${within}: node ${ambiguous} has a condition and goes on when it fails; in a part it needs onSkip: "release", too`,
    );
  if (spec.nodes.length === 0) problem(`${within} has no nodes`);
  if (spec.nodes.length > MAX_TASKS_PER_CALL)
    problem(`${within} has ${spec.nodes.length} nodes; as a part at most ${MAX_TASKS_PER_CALL}`);
  if (problems.length > 0 || !isGraph(found) || undoing !== undefined || ambiguous !== undefined) return undefined;
  if (spec.nodes.length === 0) return undefined;
  const nodes = withNeeds(
    Array.from(found.order, (index) => spec.nodes[index] as NodeSpec).map((node) => ({
      spec: node,
      planned: toPlanned(node),
    })),
  );
  const graph = graphOf(nodes);
  if (!isGraph(graph)) return undefined;
  const durationsMs = nodes.map(({ estimateMs }) => estimateMs);
  const { order, parts } = arrange({ nodes, graph, durationsMs });
  const embedded: Embedded = {
    step: {
      kind: "workflow",
      groups: parts.flat(),
      nodes: Array.from(order, (index) => nodes[index]?.id ?? ""),
      output: outputOf(spec),
    },
    estimateMs: analyse(graph, durationsMs).criticalPathMs,
  };
  KNOWN.set(spec, embedded);
  return embedded;
}
