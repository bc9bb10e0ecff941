/** Submissions as the arguments of the scripts submit and extend (scripts/lib/submitting.lua says which). */
import type { LeaseSpec, Submission, TaskGroup, TaskList } from "../contract.ts";
import { fingerprint } from "../fingerprint.ts";
import type { ScriptArgument } from "./shard.ts";

/** Separates the parts of one argument. The same as in scripts/lib/shard.lua. */
export const UNIT = "\x1f";

/** A UTF-16 code unit takes at most this many bytes in UTF-8. */
const MAX_UNIT_BYTES = 3;

export function pushSubmission(
  args: ScriptArgument[],
  submission: Submission,
  head: { readonly id: string; readonly retentionMs: number },
): void {
  const { key, name, kind, priority, groups, open, maxFailures, verify, meta, keepInputs } = submission;
  args.push(
    head.id,
    key ?? "",
    fingerprint(submission),
    name,
    kind,
    priority,
    open === true ? "1" : "0",
    maxFailures ?? "",
    submission.retentionMs ?? head.retentionMs,
    verify === undefined ? "" : JSON.stringify(verify),
    meta ?? "",
    keepInputs === true ? "1" : "",
  );
  pushGroups(args, groups);
}

export function pushGroups(args: ScriptArgument[], groups: readonly TaskGroup[]): void {
  args.push(groups.length);
  for (const group of groups) pushGroup(args, group);
}

function pushGroup(args: ScriptArgument[], group: TaskGroup): void {
  const { work, pool, requires, retry, maxLosses, timeoutMs, delayMs, onFailure, when } = group;
  const isArray = work.kind === "array";
  const isLinked = !isArray && work.after?.some((parents) => parents.length > 0) === true;
  const isMarked = !isArray && (work.labels !== undefined || work.ranks !== undefined);
  args.push(
    JSON.stringify(leaseSpec(group)),
    pool,
    [...requires].sort().join(UNIT),
    JSON.stringify(retry),
    maxLosses,
    timeoutMs ?? "",
    delayMs ?? "",
    isArray ? 0 : longestInput(work.inputs),
    isLinked ? "1" : "0",
    onFailure === "continue" ? "1" : "0",
    when === "failed" ? "1" : "0",
    isMarked ? "1" : "0",
  );
  if (isArray) {
    args.push("array", work.length, JSON.stringify(work.chunk), work.results);
    return;
  }
  args.push("tasks", work.inputs.length);
  work.inputs.forEach((input, index) => {
    args.push(input);
    if (isLinked) args.push(parentsText(work.after?.[index] ?? []));
    if (isMarked) args.push(markText(work, index));
  });
}

/** A task's rank and label. */
function markText({ ranks, labels }: TaskList, index: number): string {
  const rank = ranks?.[index] ?? 0;
  return `${rank === 0 ? "" : rank}${UNIT}${labels?.[index] ?? ""}`;
}

function leaseSpec({ name, handler, timeoutMs, memoryLimitMb, work }: TaskGroup): LeaseSpec {
  return {
    name,
    handler,
    ...(work.kind === "array" ? { source: work.source, results: work.results } : {}),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    ...(memoryLimitMb === undefined ? {} : { memoryLimitMb }),
  };
}

function parentsText(parents: readonly number[]): string {
  return parents.length === 0 ? "" : JSON.stringify([...new Set(parents)]);
}

/** Bytes of the longest input at most. */
function longestInput(inputs: readonly string[]): number {
  let longest = 0;
  for (const input of inputs) if (input.length > longest) longest = input.length;
  return longest * MAX_UNIT_BYTES;
}
