/** The task that undoes what has completed, when a node has failed whose failure is to be undone. */
import { ancestorsOf, type Graph } from "../../core/graph.ts";
import { functionStep, makeHead, taskParts } from "./heads.ts";
import type { CompensateStep } from "./node.ts";
import type { PlannedNode } from "./plan.ts";
import type { NodeSpec } from "./spec.ts";

/** Its id; no node of a user's can have it. */
export const COMPENSATION_ID = "(compensation)";

export interface CompensationParams {
  readonly specs: readonly NodeSpec[];
  readonly nodes: readonly PlannedNode[];
  readonly graph: Graph;
  readonly pool: string;
}

/** Undefined where no node asks for it. */
export function compensationOf({ specs, nodes, graph, pool }: CompensationParams): PlannedNode | undefined {
  const because = specs.filter(({ undoes }) => undoes).map(({ id }) => id);
  if (because.length === 0) return undefined;
  const undone = new Set<string>();
  const steps: CompensateStep["nodes"][number][] = [];
  for (const index of graph.order) {
    const { id, compensate } = specs[index] as NodeSpec;
    if (compensate === undefined) continue;
    const group = makeHead({ ...taskParts(compensate), does: functionStep(compensate) });
    const after = Array.from(ancestorsOf(graph, index), (before) => specs[before]?.id ?? "").filter((before) =>
      undone.has(before),
    );
    undone.add(id);
    steps.push({ node: id, group, after, input: nodes[index]?.input.input ?? null });
  }
  // Also those whose outputs stand in the inputs of the undone: `input` is filled in anew.
  const named = specs.filter(({ id }) => undone.has(id)).flatMap(({ uses }) => uses);
  const after = [...new Set([...because, ...undone, ...named])];
  const does: CompensateStep = { kind: "compensate", nodes: steps, because };
  return {
    id: COMPENSATION_ID,
    after,
    uses: after,
    head: { ...makeHead({ name: "compensation", does, pool, requires: [] }), when: "failed" },
    input: { node: COMPENSATION_ID },
    estimateMs: 0,
    addsTasks: true,
  };
}
