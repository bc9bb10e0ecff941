/** What is told to the broker about an attempt. Pure. */
import type { CapturedOutput, Lease, Outcome } from "../broker/contract.ts";
import { type Failure, type FailureClass, MAX_FAILURE_MESSAGE } from "../core/failure.ts";
import { HoldfastError } from "../errors/index.ts";
import { type Attempt, refOf } from "./attempt.ts";
import type { Answer } from "./runner-wire.ts";

/** Hands a lease back unfinished. */
export function returned(lease: Lease): Outcome {
  return { kind: "returned", lease: refOf(lease) };
}

/** The outcome of an attempt that its runner has answered; undefined when it does not count any more. */
export function outcomeOf(attempt: Attempt, answer: Answer, output: CapturedOutput | undefined): Outcome | undefined {
  if (attempt.stop === "cancelled" || attempt.stop === "session-lost") return undefined;
  const lease = refOf(attempt.lease);
  const durationMs = answer.ms;
  if (isTooLate(attempt, answer)) {
    return { kind: "failed", lease, durationMs, failure: timeout(attempt), ...present({ output }) };
  }
  switch (answer.type) {
    case "completed":
      return { kind: "completed", lease, durationMs, result: answer.result, ...present({ output }) };
    case "chunk": {
      const { values, partial, failures } = answer;
      return { kind: "chunk", lease, durationMs, failures, ...present({ values, partial, output }) };
    }
    case "failed": {
      const { failure, culprit } = answer;
      return { kind: "failed", lease, durationMs, failure, ...present({ culprit, output }) };
    }
    case "skipped":
      return { kind: "skipped", lease, durationMs, dependents: answer.dependents, ...present({ output }) };
    case "suspended": {
      const { state, until } = answer;
      return { kind: "suspended", lease, durationMs, state, until, ...present({ output }) };
    }
  }
}

/** A chunk judges its items one by one; a separate task that ended after its time has timed out. */
function isTooLate(attempt: Attempt, answer: Answer): boolean {
  if (attempt.lease.start !== undefined) return false;
  return attempt.stop === "timeout" || answer.ms > (attempt.spec.timeoutMs ?? Infinity);
}

/** The outcome of an attempt that its runner's death has ended. */
export function outcomeOfDeath(
  attempt: Attempt,
  cause: {
    readonly failure: Failure;
    readonly culprit: number | undefined;
    readonly output: CapturedOutput | undefined;
  },
): Outcome {
  return {
    kind: "failed",
    lease: refOf(attempt.lease),
    durationMs: performance.now() - attempt.startedAt,
    failure: attempt.stop === "timeout" ? timeout(attempt) : cause.failure,
    ...present({ culprit: cause.culprit, output: cause.output }),
  };
}

/** An error of the catalogue as the failure of an attempt. */
export function failureOf(error: HoldfastError, failureClass: FailureClass): Failure {
  return { class: failureClass, code: error.code, message: error.message.slice(0, MAX_FAILURE_MESSAGE) };
}

function timeout(attempt: Attempt): Failure {
  return failureOf(new HoldfastError("TASK_TIMEOUT", { timeoutMs: attempt.spec.timeoutMs ?? 0 }), "timeout");
}

type Present<Fields> = { readonly [Name in keyof Fields]?: Exclude<Fields[Name], undefined> };

/** Leaves out what is undefined: an optional field is either there or not. */
function present<Fields extends Readonly<Record<string, unknown>>>(fields: Fields): Present<Fields> {
  const kept: Record<string, unknown> = {};
  for (const name in fields) if (fields[name] !== undefined) kept[name] = fields[name];
  return kept as Present<Fields>;
}
