/** Undoes what has completed, newest first, where something that is to be undone has failed. */
import type { Resumption } from "../../../broker/contract.ts";
import type { CompensateStep, Json } from "../../../sdk/workflow/node.ts";
import { completed, type Ending } from "../job.ts";
import type { NodeAttempt } from "../node-attempt.ts";
import { AddedTasks, suspended } from "../suspension.ts";
import { fill, quoted } from "../../../sdk/workflow/fill.ts";
import { completedText } from "./completed-text.ts";

/** @throws HoldfastError PAYLOAD_TOO_LARGE, BATCH_TOO_LARGE, NODE_FAILED, INVALID_INPUT. */
export function startCompensation(attempt: NodeAttempt, step: CompensateStep): Ending {
  const isToUndo = step.because.some((node) => attempt.resultText(node) === undefined);
  const done = step.nodes.filter(({ node }) => attempt.resultText(node) !== undefined).toReversed();
  if (!isToUndo || done.length === 0) return completed([]);
  const added = new AddedTasks(attempt.id);
  /** Numbers of the compensations that one must wait for, by the node that it undoes. */
  const waitsFor = new Map<string, number[]>();
  for (const [number, { node, group, after, input }] of done.entries()) {
    const label = `${attempt.id}/${node}`;
    const filled = fill(input, { output: (other) => attempt.output(other) });
    const text = JSON.stringify({ node: label, input: quoted({ input: filled, output: attempt.output(node) }) });
    added.add(group, [{ label, input: text, after: waitsFor.get(node) ?? [] }]);
    for (const earlier of after) {
      const waiting = waitsFor.get(earlier) ?? [];
      waiting.push(number);
      waitsFor.set(earlier, waiting);
    }
  }
  const undone: Json = done.map(({ node }) => node);
  return suspended(attempt, { kind: "tasks", groups: added.groups }, undone);
}

/** Its output: ids of the nodes that were undone, newest first. */
export function endCompensation({ state }: Resumption): Ending {
  return completedText(state);
}
