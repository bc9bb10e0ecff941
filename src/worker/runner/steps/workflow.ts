/**
 * Runs the nodes of another workflow as tasks of the same execution. Their texts were written before
 * anybody knew under which node they would run, and with what input: both are put in here.
 */
import type { Resumption, TaskGroup } from "../../../broker/contract.ts";
import { HoldfastError } from "../../../errors/index.ts";
import type { Json, WorkflowStep } from "../../../sdk/workflow/node.ts";
import { completed, type Ending } from "../job.ts";
import type { NodeAttempt } from "../node-attempt.ts";
import { readNodeInput } from "../node-texts.ts";
import { type AddedTask, AddedTasks, suspended } from "../suspension.ts";
import { fill, isTemplateText } from "../../../sdk/workflow/fill.ts";

/** @throws HoldfastError PAYLOAD_TOO_LARGE, BATCH_TOO_LARGE, NODE_FAILED, INVALID_INPUT. */
export function startWorkflow(attempt: NodeAttempt, step: WorkflowStep, input: Json): Ending {
  if (step.groups.length === 0)
    return completed(fill(step.output, { output: nodeOutput(attempt, step, {}), input: () => input }));
  const added = new AddedTasks(attempt.id);
  const baseRank = baseRankOf(attempt, step);
  for (const { work, ...head } of step.groups) {
    if (work.kind !== "tasks") return attempt.fault("its workflow has an array among its nodes");
    added.add(head, innerTasks(work, { id: attempt.id, input, baseRank }));
  }
  // Its output may need the input when nothing is left of what it was made from.
  const state = JSON.stringify(step.output).includes('"$input"') ? input : null;
  return suspended(attempt, { kind: "tasks", groups: added.groups }, state);
}

/** @throws HoldfastError NODE_FAILED, INVALID_INPUT. */
export function endWorkflow(attempt: NodeAttempt, step: WorkflowStep, resumed: Resumption): Ending {
  const input = (): Json => JSON.parse(resumed.state) as Json;
  return completed(fill(step.output, { output: nodeOutput(attempt, step, resumed), input }));
}

interface Place {
  readonly id: string;
  readonly input: Json;
  readonly baseRank: number;
}

function* innerTasks(work: Extract<TaskGroup["work"], { readonly kind: "tasks" }>, place: Place): Generator<AddedTask> {
  for (const [index, text] of work.inputs.entries()) {
    const { node, ...inner } = readNodeInput(text);
    const label = `${place.id}/${node}`;
    const rank = place.baseRank + (work.ranks?.[index] ?? 0);
    const after = work.after?.[index];
    const input = JSON.stringify({
      node: label,
      ...inner,
      ...(isTemplateText(text) && inner.input !== undefined
        ? { input: fill(inner.input, { input: () => place.input }) }
        : {}),
      ...(inner.rank === undefined ? {} : { rank }),
    });
    yield { label, input, rank, ...(after === undefined ? {} : { after }) };
  }
}

/** What comes after the node itself: a rank counts from a task's start to the end of the whole execution. */
function baseRankOf({ given }: NodeAttempt, { groups }: WorkflowStep): number {
  const longest = groups.reduce(
    (most, { work }) =>
      work.kind === "tasks" ? (work.ranks ?? []).reduce((top, rank) => Math.max(top, rank), most) : most,
    0,
  );
  return Math.max(0, (given.rank ?? 0) - longest);
}

function nodeOutput(
  attempt: NodeAttempt,
  step: WorkflowStep,
  { first = 0 }: Partial<Resumption>,
): (node: string) => Json {
  return (node) => {
    const index = step.nodes.indexOf(node);
    if (index < 0) {
      const problem = `its output names node ${node}, which its workflow does not have`;
      throw new HoldfastError("NODE_FAILED", { node: attempt.id, problem });
    }
    return JSON.parse(attempt.parentText(first + index) ?? "null") as Json;
  };
}
