/** A plan that somebody made in another way, as something to submit. */
import { type Definition, DEFINITION_BRAND } from "../definition.ts";
import { pointsFrom } from "../points.ts";
import { needsOfHeads } from "./needs.ts";
import { writeWorkflowNotes } from "./notes.ts";
import type { WorkflowPlan } from "./plan.ts";
import { submissionOf } from "./submission.ts";

export interface PlannedDefinition extends Definition<string, unknown, never> {
  plan(): Promise<WorkflowPlan>;
}

/** Its execution answers nothing as a whole; `outputs()` has what came out of its nodes. */
export function definitionOfPlan(plan: WorkflowPlan): PlannedDefinition {
  return Object.freeze({
    [DEFINITION_BRAND]: true as const,
    kind: "workflow" as const,
    name: plan.name,
    needs: needsOfHeads(plan.nodes.map(({ head }) => head)),
    plan: () => Promise.resolve(plan),
    prepare: async () => {
      const { submission, rest, ids } = submissionOf(plan, {
        meta: writeWorkflowNotes({ workflow: { name: plan.name } }),
      });
      const reader = { openPoints: pointsFrom((index) => ids[index]), reduce: undefined, reducers: [], workflow: {} };
      return Promise.resolve({ submission, rest, reader });
    },
    reader: () => ({}),
  });
}
