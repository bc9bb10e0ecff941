/** A planned workflow as a broker takes it: numbered, in groups, in as many calls as it needs. */
import type { Submission, TaskGroup } from "../../broker/contract.ts";
import { measuredLabel } from "../../core/durations.ts";
import { HoldfastError } from "../../errors/index.ts";
import { arrange } from "./arrange.ts";
import type { PlannedNode, WorkflowPlan } from "./plan.ts";
import { graphOf, isGraph } from "./planned-nodes.ts";
import { workflowError } from "./problems.ts";

export interface SubmissionOptions {
  /** How long nodes took in earlier runs, milliseconds by `measuredLabel` of their ids. */
  readonly measured?: ReadonlyMap<string, number> | undefined;
  readonly meta?: string | undefined;
}

export interface WorkflowSubmission {
  readonly submission: Submission;
  /** Groups of each further call. */
  readonly rest: readonly (readonly TaskGroup[])[];
  /** Ids of the nodes by task number. */
  readonly ids: readonly string[];
}

/** @throws HoldfastError INVALID_WORKFLOW when the nodes are no graph without cycles. */
export function submissionOf(plan: WorkflowPlan, { measured, meta }: SubmissionOptions = {}): WorkflowSubmission {
  const { name, key, priority, maxFailures, retentionMs, keepInputs, compensation } = plan;
  // It comes after nobody's start: that the rest has ended is what it waits for.
  const nodes = compensation === undefined ? plan.nodes : [...plan.nodes, compensation];
  const graph = graphOf(nodes);
  if (!isGraph(graph)) throw workflowError(name, graph);
  const durationsMs = durationsOf(nodes, measured);
  const { order, parts } = arrange({ nodes, graph, durationsMs });
  const [first, ...rest] = parts;
  if (first === undefined) throw new HoldfastError("INVALID_WORKFLOW", { workflow: name, problems: "it has no nodes" });
  return {
    submission: {
      kind: "workflow",
      name,
      priority,
      groups: first,
      ...(rest.length === 0 ? {} : { open: true }),
      ...(keepInputs ? { keepInputs } : {}),
      ...(maxFailures === undefined ? {} : { maxFailures }),
      ...(key === undefined ? {} : { key }),
      ...(retentionMs === undefined ? {} : { retentionMs }),
      ...(meta === undefined ? {} : { meta }),
    },
    rest,
    ids: Array.from(order, (index) => nodes[index]?.id ?? ""),
  };
}

/** What was measured in place of estimates. */
export function durationsOf(nodes: readonly PlannedNode[], measured?: ReadonlyMap<string, number>): Float64Array {
  if (measured === undefined || measured.size === 0) return Float64Array.from(nodes, ({ estimateMs }) => estimateMs);
  return Float64Array.from(nodes, ({ id, estimateMs }) => measured.get(measuredLabel(id)) ?? estimateMs);
}
