/** From a definition and its input to a plan: everything that can be checked before a broker hears of it is. */
import type { Graph } from "../../core/graph.ts";
import { compensationOf } from "./compensation.ts";
import type { PlannedNode, WorkflowPlan } from "./plan.ts";
import { graphOf, inputProblems, isGraph, knowGraph, toPlanned } from "./planned-nodes.ts";
import { workflowError } from "./problems.ts";
import type { NodeSpec, Problem, WorkflowSpec } from "./spec.ts";

export interface PlanSettings {
  readonly name: string;
  readonly key?: string | undefined;
  /** 1…10. */
  readonly priority: number;
  readonly pool: string;
  readonly failFast: boolean;
  readonly retentionMs?: number | undefined;
  readonly keepInputs: boolean;
}

export interface PlanParams {
  readonly spec: WorkflowSpec;
  readonly settings: PlanSettings;
  /** As its schema hands it out. */
  readonly input: unknown;
}

/** @throws HoldfastError INVALID_WORKFLOW with all that is wrong, each with the path of its node. */
export async function toPlan({ spec, settings, input }: PlanParams): Promise<WorkflowPlan> {
  const { graph, nodes, problems } = await checkSpec(spec, { input });
  if (problems.length > 0 || graph === undefined) throw workflowError(spec.name, problems);
  const compensation = compensationOf({ specs: spec.nodes, nodes, graph, pool: settings.pool });
  const { name, key, priority, failFast, retentionMs, keepInputs } = settings;
  return {
    name,
    nodes,
    priority,
    keepInputs,
    ...(compensation === undefined ? {} : { compensation }),
    // What has failed is undone when the rest has ended; cutting that off would leave half of it.
    ...(failFast && compensation === undefined ? { maxFailures: 1 } : {}),
    ...(key === undefined ? {} : { key }),
    ...(retentionMs === undefined ? {} : { retentionMs }),
  };
}

export interface CheckedSpec {
  readonly nodes: readonly PlannedNode[];
  /** Absent where the nodes are none. */
  readonly graph: Graph | undefined;
  readonly problems: readonly Problem[];
}

/** All that can be found wrong before it runs. `given`: the workflow's input, where it is known. */
export async function checkSpec(spec: WorkflowSpec, given?: { readonly input: unknown }): Promise<CheckedSpec> {
  const problems: Problem[] = [...spec.problems];
  const found = graphOf(spec.nodes);
  if (!isGraph(found)) problems.push(...found);
  if (spec.nodes.length === 0) problems.push({ path: "nodes", problem: "is empty; expected at least one node" });
  problems.push(...(await conditionProblems(spec.nodes)));
  const nodes = spec.nodes.map((node) => toPlanned(node, given));
  if (isGraph(found)) knowGraph(nodes, found);
  for (const [index, node] of spec.nodes.entries()) {
    const planned = nodes[index];
    if (planned === undefined || (node.schema === undefined && node.input === undefined)) continue;
    problems.push(...(await inputProblems(node, planned)));
  }
  return { nodes, graph: isGraph(found) ? found : undefined, problems };
}

/** Texts of conditions that are no CEL. Its parser is loaded only where there are some. */
async function conditionProblems(nodes: readonly NodeSpec[]): Promise<readonly Problem[]> {
  const written = nodes.filter(({ condition }) => condition?.kind === "expression");
  if (written.length === 0) return [];
  const { compileExpression } = await import("../../core/expression.ts");
  return written.flatMap(({ id, condition }) => {
    if (condition?.kind !== "expression") return [];
    try {
      compileExpression(condition.expression);
      return [];
    } catch (thrown) {
      const why = thrown instanceof Error ? thrown.message : String(thrown);
      return [{ path: `nodes.${id}.condition`, problem: `is no condition: ${why}` }];
    }
  });
}
