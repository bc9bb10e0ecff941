/** One attempt inside the runner, and the ways it can end. */
import type { Awakening, ItemFailure, SkippedTask } from "../../broker/contract.ts";
import type { Failure } from "../../core/failure.ts";
import { MAX_PAYLOAD } from "../../broker/limits.ts";
import { HoldfastError } from "../../errors/index.ts";
import type { RunCommand } from "../runner-wire.ts";
import { AttemptControl } from "./attempt-control.ts";
import { failureFromError, failureFromThrown } from "./failure.ts";
import type { StateCalls } from "./state-calls.ts";
import type { LoadedSpec } from "./task-loader.ts";

export interface Job {
  readonly run: RunCommand;
  readonly spec: LoadedSpec;
  readonly worker: string;
  readonly calls: StateCalls;
  readonly control: AttemptControl;
  startedAt: number;
  /** Told by the supervisor that the item at work is out of time. Only for chunks. */
  onTimeout: (() => void) | undefined;
  /** The item at work. Only for chunks. */
  item: number | undefined;
  /** Whether items are run so that what goes wrong between two of them belongs to the one at work. */
  isItemSure: boolean;
}

export type Ending =
  | { readonly type: "completed"; readonly result: string }
  | {
      readonly type: "chunk";
      readonly values?: string;
      readonly partial?: string;
      readonly failures: readonly ItemFailure[];
    }
  | { readonly type: "skipped"; readonly dependents: SkippedTask["dependents"] }
  | { readonly type: "suspended"; readonly state: string; readonly until: Awakening }
  | FailedEnding;

export interface FailedEnding {
  readonly type: "failed";
  readonly failure: Failure;
  readonly culprit?: number;
}

export function newJob(run: RunCommand, spec: LoadedSpec, place: Pick<Job, "worker" | "calls">): Job {
  return {
    run,
    spec,
    ...place,
    control: new AttemptControl(),
    startedAt: 0,
    onTimeout: undefined,
    item: run.start,
    isItemSure: true,
  };
}

export function failed(failure: Failure): FailedEnding {
  return { type: "failed", failure };
}

/** The ending of a task that has answered this. */
export function completed(value: unknown): Ending {
  const result = resultText(value);
  return "failure" in result ? failed(result.failure) : { type: "completed", result: result.text };
}

/** The ending of a task whose code threw this. */
export function failedBy(thrown: unknown): FailedEnding {
  return failed(failureFromThrown(thrown));
}

/** Why a spec could not be loaded: nothing that another try would change, unless it is our own fault. */
export function loadFailure(thrown: unknown): Failure {
  if (!(thrown instanceof HoldfastError)) return failureFromThrown(thrown);
  return failureFromError(thrown, thrown.code === "INTERNAL" ? "unknown" : "invalid-input");
}

/** The JSON text of what a task answered; no answer is `null`. Or why it cannot travel. */
export function resultText(value: unknown): { readonly text: string } | { readonly failure: Failure } {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (thrown) {
    const problem = thrown instanceof Error ? (thrown.message.split("\n", 1)[0] ?? "") : String(thrown);
    return {
      failure: failureFromError(
        new HoldfastError("INVALID_INPUT", { path: "result", problem: `is not JSON: ${problem}` }),
        "invalid-input",
      ),
    };
  }
  text ??= "null";
  if (text.length > MAX_PAYLOAD) {
    const error = new HoldfastError("PAYLOAD_TOO_LARGE", {
      what: "The task's result",
      bytes: text.length,
      limit: MAX_PAYLOAD,
    });
    return { failure: failureFromError(error, "invalid-input") };
  }
  return { text };
}

/** Whether it must be waited for. Checked by hand, because waiting for plain values costs more than most tiny tasks. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}
