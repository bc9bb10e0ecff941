/** Fan-out over a list that is known only now, and fan-in of what came of it. */
import type { Resumption } from "../../../broker/contract.ts";
import type { Json, MapStep } from "../../../sdk/workflow/node.ts";
import { shown } from "../../../core/untrusted.ts";
import { completed, type Ending } from "../job.ts";
import type { NodeAttempt } from "../node-attempt.ts";
import { type AddedTask, AddedTasks, suspended } from "../suspension.ts";
import { fill, quoted } from "../../../sdk/workflow/fill.ts";
import { completedText } from "./completed-text.ts";

/** @throws HoldfastError PAYLOAD_TOO_LARGE, BATCH_TOO_LARGE, NODE_FAILED. */
export function startMap(attempt: NodeAttempt, step: MapStep, input: Json): Ending {
  if (!Array.isArray(input)) return attempt.fault(`it runs once per entry of a list, but was given ${shown(input)}`);
  const items = input as readonly Json[];
  if (items.length === 0) return completed([]);
  const added = new AddedTasks(attempt.id);
  added.add(step.each, itemTasks(attempt, step, items));
  return suspended(attempt, { kind: "tasks", groups: added.groups });
}

/** All that it has added have ended: those without a result had leave to fail. */
export function endMap(attempt: NodeAttempt, step: MapStep, { first = 0, count = 0 }: Resumption): Ending {
  if (step.failsWithItems === true) {
    const failed = Array.from({ length: count }, (_, index) => index).filter(
      (index) => attempt.parentText(first + index) === undefined,
    );
    if (failed.length > 0)
      return attempt.fault(
        `${failed.length} of its ${count} runs failed, the first of them ${attempt.id}[${failed[0]}]`,
      );
  }
  const outputs = Array.from({ length: count }, (_, index) => attempt.parentText(first + index) ?? "null");
  return completedText(`[${outputs.join(",")}]`);
}

/** One by one, so that a list that is too large is left before all of it has been written. */
function* itemTasks(attempt: NodeAttempt, step: MapStep, items: readonly Json[]): Generator<AddedTask> {
  const { id, given } = attempt;
  const { rank } = given;
  for (const [index, item] of items.entries()) {
    const label = `${id}[${index}]`;
    const filled =
      step.input === undefined ? item : fill(step.input, { input: () => item, output: (node) => attempt.output(node) });
    // An item may be a node that adds tasks in its turn.
    const input = JSON.stringify({ node: label, input: quoted(filled), ...(rank === undefined ? {} : { rank }) });
    yield { label, input, ...(rank === undefined ? {} : { rank }) };
  }
}
