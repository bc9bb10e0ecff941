/** A workflow as it is submitted: nodes with all that a broker and a runner must know, not yet numbered. */
import type { GroupHead, NodeInput } from "./node.ts";

export interface PlannedNode {
  /** Unique in its workflow; letters, digits, `_`, `-`, `.`; `/` and `[ ]` stand between the ids of parts. */
  readonly id: string;
  /** Ids of the nodes that must have completed first. */
  readonly after: readonly string[];
  /** Those of them whose outputs it uses, also by template. */
  readonly uses: readonly string[];
  /** What it is to the broker; `handler` is the JSON text of a NodeHandler. Nodes with equal heads share a task group where they can. */
  readonly head: GroupHead;
  /** JSON of this, with the distances of `uses`, is the task's input. */
  readonly input: Omit<NodeInput, "outputs">;
  /** How long it is thought to take, milliseconds; 0: as good as nothing. Measured durations of earlier runs replace it. */
  readonly estimateMs: number;
  /** It adds tasks while it runs (a map, a sub-workflow); its input then says its rank. */
  readonly addsTasks?: boolean;
  /** 1…10: before all nodes of its execution with a lower one. Default 5. */
  readonly priority?: number;
}

export interface WorkflowPlan {
  readonly name: string;
  readonly nodes: readonly PlannedNode[];
  /** Runs when the rest has ended and something failed (CompensateStep); `after` are the nodes whose results it gets. */
  readonly compensation?: PlannedNode;
  /** 1…10. */
  readonly priority: number;
  /** Failures for good after which the rest is cancelled; absent: the rest goes on. Not with a compensation. */
  readonly maxFailures?: number;
  readonly key?: string;
  readonly retentionMs?: number;
  readonly keepInputs: boolean;
}
