/**
 * Judges the conditions of nodes.
 *
 * Texts come from whoever submitted the workflow and see data of any kind, so those that go through
 * lists or match patterns are stopped when they take too long. What cannot be judged is a failure that
 * no other try would change.
 */
import { createContext, Script } from "node:vm";
import type { compileExpression, Expression } from "../../core/expression.ts";
import { HoldfastError } from "../../errors/index.ts";
import type { Condition } from "../../sdk/workflow/node.ts";
import { failureFromThrown } from "./failure.ts";
import type { NodeAttempt } from "./node-attempt.ts";
import { loadCondition } from "./node-code.ts";

/** A text may be judged for this long. */
const JUDGING_MS = 500;
/** Compiled texts that are kept. */
const MAX_COMPILED = 1_000;

const compiled = new Map<string, Expression>();
const watched: { judge: () => boolean } = { judge: () => false };
let watchedCall: (() => boolean) | undefined;

/** Imported when the first text comes: CEL's parser takes as long to load as a runner. */
let compileText: typeof compileExpression | undefined;

/**
 * Whether the node runs; at once where nothing has to be waited for.
 *
 * @throws HoldfastError CONDITION_FAILED, or as `loadCondition`; late ones are rejections.
 */
export function judge(attempt: NodeAttempt, condition: Condition): boolean | Promise<boolean> {
  if (condition.kind === "code") return isCodeTrue(attempt);
  return compileText === undefined
    ? loadAndJudge(attempt, condition.expression)
    : isExpressionTrue(attempt, condition.expression, compileText);
}

async function loadAndJudge(attempt: NodeAttempt, text: string): Promise<boolean> {
  compileText ??= (await import("../../core/expression.ts")).compileExpression;
  return isExpressionTrue(attempt, text, compileText);
}

function isExpressionTrue(attempt: NodeAttempt, text: string, compile: typeof compileExpression): boolean {
  const { outputs, input } = attempt;
  try {
    const expression = compiled.get(text) ?? keep(text, compile(text));
    const look = (): boolean => expression.judge({ outputs, input });
    return expression.isCostly ? withinTime(look) : look();
  } catch (thrown) {
    throw cannotBeJudged(attempt, `${text.slice(0, 200)}: ${problemOf(thrown)}`);
  }
}

async function isCodeTrue(attempt: NodeAttempt): Promise<boolean> {
  const condition = await loadCondition(attempt);
  const { outputs, input } = attempt;
  let verdict: unknown;
  try {
    verdict = await condition({ outputs, input });
  } catch (thrown) {
    throw cannotBeJudged(attempt, failureFromThrown(thrown).message);
  }
  if (typeof verdict === "boolean") return verdict;
  throw cannotBeJudged(attempt, "it is neither true nor false");
}

function keep(text: string, expression: Expression): Expression {
  if (compiled.size >= MAX_COMPILED) compiled.clear();
  compiled.set(text, expression);
  return expression;
}

/** Only code that the engine watches can be stopped; the watch costs about 0.3 ms. */
function withinTime(judge: () => boolean): boolean {
  watchedCall ??= makeWatchedCall();
  watched.judge = judge;
  return watchedCall();
}

function makeWatchedCall(): () => boolean {
  const context = createContext(watched);
  const script = new Script("judge()");
  return () => script.runInContext(context, { timeout: JUDGING_MS }) as boolean;
}

function problemOf(thrown: unknown): string {
  const isTooLong = (thrown as NodeJS.ErrnoException).code === "ERR_SCRIPT_EXECUTION_TIMEOUT";
  return isTooLong ? `takes longer than ${JUDGING_MS} ms` : failureFromThrown(thrown).message;
}

function cannotBeJudged({ id }: NodeAttempt, problem: string): HoldfastError {
  return new HoldfastError("CONDITION_FAILED", { node: id, problem });
}
