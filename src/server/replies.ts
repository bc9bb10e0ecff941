/** The broker's views as replies: JSON texts become the values that they stand for, or stay texts. */
import type * as z from "zod";
import type { attemptView, executionView, resultView, taskView } from "../api/views.ts";
import type { AttemptLog, ExecutionView, ResultRow, TaskView } from "../broker/contract.ts";
import { JsonText } from "./reply-text.ts";

/** A stored JSON text as a part of a reply. */
export function jsonField(text: string | undefined, asText: boolean): unknown {
  if (text === undefined || asText) return text;
  return JsonText.of(text);
}

export function executionReply(view: ExecutionView, asText = false): z.output<typeof executionView> {
  return { ...view, meta: jsonField(view.meta, asText) };
}

export function taskReply(view: TaskView, asText = false): z.output<typeof taskView> {
  return { ...view, result: jsonField(view.result, asText) };
}

export function attemptReply({ output: _output, ...attempt }: AttemptLog): z.output<typeof attemptView> {
  return attempt;
}

export function resultReply(row: ResultRow, asText = false): z.output<typeof resultView> {
  return {
    ...row,
    result: jsonField(row.result, asText),
    values: jsonField(row.values, asText),
    partial: jsonField(row.partial, asText),
  };
}
