/**
 * Outcomes as the arguments of the script commit (scripts/lib/outcomes.lua says which).
 *
 * Tasks of one group that completed at their first attempt travel as one batch, which the script handles
 * with a handful of commands; every other outcome travels alone.
 */
import type { VerifyPlan } from "../contract/submitting.ts";
import type { Awakening, CompletedChunk, CompletedTask, FailedAttempt, Outcome } from "../contract.ts";
import { MAX_TASKS_PER_CALL } from "../limits.ts";
import { soundOutcome } from "../sound-outcome.ts";
import { isSampled } from "../../core/verification.ts";
import { taskRecord } from "./result-records.ts";
import type { ScriptArgument } from "./shard.ts";
import { pushGroups } from "./submit-arguments.ts";
import { parseToken, refText, type Token } from "./tokens.ts";

interface Batch {
  readonly args: ScriptArgument[];
  /** Places of its outcomes in the call. */
  readonly places: number[];
}

interface PlainBatch {
  readonly executionId: string;
  readonly token: Token;
  readonly places: number[];
  readonly tasks: number[];
  readonly tokens: Token[];
  readonly records: string[];
}

export interface CommitPart {
  readonly batches: number;
  readonly args: readonly ScriptArgument[];
  /** Per batch the places of its outcomes in the call. */
  readonly places: readonly (readonly number[])[];
}

export interface CommitContext {
  /** Of the execution, if it is verified. */
  readonly verifyPlan: (executionId: string) => VerifyPlan | undefined;
  /** Each outcome is named, so that the script looks whether this very lease is held, and no order to stop it is left. */
  readonly namesAll: boolean;
}

/** Outcomes that go together: what they add, in sum, is no more than one call may. */
export function partsOf(outcomes: readonly Outcome[], places: readonly number[]): readonly (readonly number[])[] {
  const parts: number[][] = [[]];
  let added = 0;
  for (const place of places) {
    const more = addedBy(outcomes[place] as Outcome);
    added += more;
    if (added > MAX_TASKS_PER_CALL) {
      parts.push([]);
      added = more;
    }
    parts.at(-1)?.push(place);
  }
  return parts;
}

function addedBy(outcome: Outcome): number {
  if (outcome.kind !== "suspended" || outcome.until.kind !== "tasks") return 0;
  return outcome.until.groups.reduce((sum, { work }) => sum + (work.kind === "tasks" ? work.inputs.length : 1), 0);
}

/** `places`: which of the outcomes. */
export function commitPart(
  outcomes: readonly Outcome[],
  places: readonly number[],
  context: CommitContext,
): CommitPart {
  const plain = new Map<string, PlainBatch>();
  const again = new Map<string, PlainBatch>();
  const single: Batch[] = [];
  for (const place of places) {
    const outcome = soundOutcome(outcomes[place] as Outcome);
    const token = parseToken(outcome.lease.token);
    if (outcome.kind === "completed" && isPlain(outcome, token) && !context.namesAll) {
      addPlain(plain, { outcome, token, place });
    } else if (outcome.kind === "completed" && isPlainAgain(outcome, token) && !context.namesAll) {
      addPlain(again, { outcome, token, place });
    } else {
      single.push({ args: singleArguments(outcome, token, context), places: [place] });
    }
  }
  const batches = [...[...plain.values()].map(plainArguments), ...[...again.values()].map(againArguments), ...single];
  return {
    batches: batches.length,
    args: batches.flatMap(({ args }) => args),
    places: batches.map((batch) => batch.places),
  };
}

/** A first attempt without output, whose lease is named rightly. */
function isPlain({ lease, output }: CompletedTask, { group, session }: Token): boolean {
  const { task, token, start, replica } = lease;
  const isTask = output === undefined && start === undefined && replica === undefined;
  return isTask && token === `q${task}-1.${group}.1.${session}`;
}

/** The same for a task that came back or was released; the script sees whether it is the lease that it names. */
function isPlainAgain({ lease, output }: CompletedTask, { stream, end }: Token): boolean {
  const isTask = output === undefined && lease.start === undefined && lease.replica === undefined;
  return isTask && stream === "a" && end === "";
}

function addPlain(
  plain: Map<string, PlainBatch>,
  one: { readonly outcome: CompletedTask; readonly token: Token; readonly place: number },
): void {
  const { outcome, token, place } = one;
  const { executionId, task } = outcome.lease;
  const key = `${token.group}.${token.session}.${executionId}`;
  let batch = plain.get(key);
  if (batch === undefined) {
    batch = { executionId, token, places: [], tasks: [], tokens: [], records: [] };
    plain.set(key, batch);
  }
  batch.places.push(place);
  batch.tasks.push(task);
  batch.tokens.push(token);
  batch.records.push(taskRecord({ ...token, durationMs: outcome.durationMs, text: outcome.result }));
}

function plainArguments({ executionId, token, places, tasks, records }: PlainBatch): Batch {
  const args: ScriptArgument[] = ["done", executionId, token.group, token.session, tasks.join(","), tasks.length];
  tasks.forEach((task, at) => args.push(task, records[at] as string));
  return { args, places };
}

function againArguments({ executionId, token, places, tasks, tokens, records }: PlainBatch): Batch {
  const args: ScriptArgument[] = ["again", executionId, token.group, token.session, tasks.length];
  tasks.forEach((task, at) => {
    const { entry, attempt } = tokens[at] as Token;
    args.push(task, entry, attempt, records[at] as string);
  });
  return { args, places };
}

function singleArguments(outcome: Outcome, token: Token, context: CommitContext): ScriptArgument[] {
  const { lease, kind } = outcome;
  const ran = kind === "returned" ? undefined : outcome;
  const output = ran?.output === undefined ? "" : JSON.stringify(ran.output);
  const head = [
    "one",
    lease.executionId,
    token.group,
    token.stream,
    token.entry,
    refText(lease),
    kind,
    lease.task,
    lease.start ?? "",
    token.end,
    ran === undefined ? "" : String(ran.durationMs),
  ];
  switch (outcome.kind) {
    case "completed": {
      const record = taskRecord({ ...token, durationMs: outcome.durationMs, text: outcome.result });
      return [...head, record, "", "", "", "", output, "0"];
    }
    case "chunk":
      return [...head, ...chunkArguments(outcome), output, isInSample(outcome, context) ? "1" : "0"];
    case "failed":
      return [...head, "", "", ...failedArguments(outcome), output, "0"];
    case "skipped":
      return [...head, outcome.dependents, "", "", "", "", output, "0"];
    case "suspended":
      return [...head, outcome.state, "", "", "", "", output, "0", ...awakeningArguments(outcome.until)];
    case "returned":
      return [...head, "", "", "", "", "", "", "0"];
    default:
      return outcome satisfies never;
  }
}

function chunkArguments({ values, partial, failures }: CompletedChunk): ScriptArgument[] {
  // Items as texts: numbers above 2^47 would lose digits in the script's JSON.
  const told = failures.map(({ item, failure }) => ({
    item: String(item),
    class: failure.class,
    text: JSON.stringify(failure),
  }));
  return [values ?? "", partial ?? "", told.length === 0 ? "" : JSON.stringify(told), "", ""];
}

function failedArguments({ failure, culprit }: FailedAttempt): ScriptArgument[] {
  return [JSON.stringify(failure), failure.class, culprit ?? ""];
}

function awakeningArguments(until: Awakening): ScriptArgument[] {
  switch (until.kind) {
    case "delay":
      return ["delay", until.delayMs];
    case "signal":
      return ["signal", until.signal, until.timeoutMs ?? ""];
    case "tasks": {
      const args: ScriptArgument[] = ["tasks"];
      pushGroups(args, until.groups);
      return args;
    }
  }
}

function isInSample({ lease, values, failures }: CompletedChunk, { verifyPlan }: CommitContext): boolean {
  if (values === undefined || failures.length > 0 || lease.start === undefined || lease.replica !== undefined)
    return false;
  const plan = verifyPlan(lease.executionId);
  return plan !== undefined && isSampled({ seed: plan.seed, start: lease.start, sample: plan.sample });
}
