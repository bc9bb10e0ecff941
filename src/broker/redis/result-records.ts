/**
 * What is kept of a completed task or chunk: readable JSON whose last field is the user's own text,
 * so that it is found without parsing and given back letter by letter.
 */

/** The record of a task's result. `entry` names the attempt unless it was the first one. */
export function taskRecord(result: {
  readonly stream: string;
  readonly entry: string;
  readonly attempt: string;
  readonly durationMs: number;
  readonly text: string;
}): string {
  const { stream, entry, attempt, durationMs, text } = result;
  const head = stream === "q" ? "" : `"entry":"${stream}${entry}","attempt":${attempt},`;
  return `{${head}"durationMs":${durationMs},"result":${text}}`;
}

const RESULT_FIELD = ',"result":';
const PARTIAL_FIELD = ',"partial":';

/** JSON text of the task's result. */
export function resultOf(record: string): string {
  return after(record, RESULT_FIELD) ?? "null";
}

/** JSON text of the chunk's partial. */
export function partialOf(record: string): string | undefined {
  return after(record, PARTIAL_FIELD);
}

/** The user's text may itself contain anything, but it comes last. */
function after(record: string, field: string): string | undefined {
  const at = record.indexOf(field);
  return at < 0 ? undefined : record.slice(at + field.length, -1);
}

export function attemptOf(record: string): number {
  return Number(/^\{"entry":"[^"]*","attempt":(\d+)/.exec(record)?.[1] ?? 1);
}

export function durationOf(record: string): number {
  return Number(/"durationMs":([^,}]+)/.exec(record)?.[1] ?? 0);
}

/** Items of a chunk that failed and have no result in it. */
export function missingOf(record: string): number[] | undefined {
  const list = /^[^[]*,"missing":\[([\d,]*)\]/.exec(record)?.[1];
  return list === undefined ? undefined : list.split(",").map(Number);
}
