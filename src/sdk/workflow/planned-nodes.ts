/** From the nodes of a definition to planned ones: checked as a graph, with the workflow's input filled in where it is known. */
import { MAX_PAYLOAD } from "../../broker/limits.ts";
import { type Graph, readGraph } from "../../core/graph.ts";
import { pathTo, shown } from "../../core/untrusted.ts";
import { checkAgainst } from "../standard-schema.ts";
import type { NodeInput } from "./node.ts";
import type { PlannedNode } from "./plan.ts";
import type { NodeSpec, Problem } from "./spec.ts";
import { constantValue, fillInput, isConstant } from "./template.ts";

/** Graphs of lists of nodes that were read before: a plan is checked, and then arranged. */
const KNOWN = new WeakMap<object, Graph>();

/** The list names the same nodes as one whose graph is known. */
export function knowGraph(nodes: readonly PlannedNode[], graph: Graph): void {
  KNOWN.set(nodes, graph);
}

/** The graph of the nodes, or all that is wrong with it as one. */
export function graphOf(
  nodes: readonly (Pick<NodeSpec, "id" | "after"> & Partial<Pick<NodeSpec, "named">>)[],
): Graph | readonly Problem[] {
  const known = KNOWN.get(nodes);
  if (known !== undefined) return known;
  const { graph, problems } = readGraph(nodes, { allowRepeats: true });
  if (graph !== undefined) return graph;
  return problems.map(({ node, dependency, problem }) => {
    const { id, named = Infinity } = nodes[node] ?? { id: String(node) };
    const at = `nodes.${id}`;
    if (dependency === undefined) return { path: at, problem };
    // Not in its `after`, but in its input or its condition.
    if (dependency >= named) return { path: at, problem: problem.replace(/^is /, "uses ") };
    return { path: `${at}.after[${dependency}]`, problem };
  });
}

export function isGraph(found: Graph | readonly Problem[]): found is Graph {
  return !Array.isArray(found);
}

/** `given`: the workflow's input, where it is known. */
export function toPlanned(spec: NodeSpec, given?: { readonly input: unknown }): PlannedNode {
  const { id, kind, after, uses, head, estimateMs, priority } = spec;
  const base = { id, after, uses, head, input: plannedInput(spec, given), estimateMs };
  const addsTasks = kind === "map" || kind === "workflow";
  if (!addsTasks && priority === undefined) return base;
  return { ...base, ...(addsTasks ? { addsTasks } : {}), ...(priority === undefined ? {} : { priority }) };
}

function plannedInput(spec: NodeSpec, given?: { readonly input: unknown }): Omit<NodeInput, "outputs"> {
  const { id, condition, onSkip, input } = spec;
  if (condition === undefined && onSkip === undefined && input === undefined) return { node: id };
  const template = given === undefined || input === undefined ? input : fillInput(input, given.input);
  return {
    node: id,
    ...(template === undefined ? {} : { input: template }),
    ...(condition === undefined ? {} : { condition }),
    ...(onSkip === undefined ? {} : { onSkip }),
    ...(condition?.kind === "code" ? { code: id } : {}),
  };
}

/** What is wrong with the input of a node, as far as it is known before it runs. */
export async function inputProblems({ id, schema, kind }: NodeSpec, planned: PlannedNode): Promise<readonly Problem[]> {
  const path = `nodes.${id}.input`;
  const { input } = planned.input;
  if (input !== undefined) {
    const { length } = JSON.stringify(input);
    if (length > MAX_PAYLOAD) return [{ path, problem: `is ${length} bytes; the limit is ${MAX_PAYLOAD}` }];
  }
  if (kind === "map") {
    const isNoList = input !== undefined && isConstant(input) && !Array.isArray(input);
    return isNoList
      ? [{ path: `nodes.${id}.over`, problem: `is ${shown(constantValue(input))}; expected a list` }]
      : [];
  }
  if (schema === undefined || (input !== undefined && !isConstant(input))) return [];
  const value = input === undefined ? null : constantValue(input);
  const checked = checkAgainst(schema, value);
  const verdict = checked instanceof Promise ? await checked : checked;
  if (verdict.ok) return [];
  return [{ path: verdict.path.reduce<string>(pathTo, path), problem: verdict.problem }];
}
