/** What a worker over HTTP reports, as outcomes of the broker's contract. */
import type { InputOf } from "../../api/operation.ts";
import type { WORKER_OPERATIONS } from "../../api/operations/workers.ts";
import type {
  CapturedOutput,
  CompletedChunk,
  CompletedTask,
  FailedAttempt,
  ItemFailure,
} from "../../broker/contract.ts";
import { MAX_OUTPUT_BYTES } from "../../broker/limits.ts";
import { type Failure, MAX_FAILURE_MESSAGE, MAX_FAILURE_STACK } from "../../core/failure.ts";
import { HoldfastError } from "../../errors/index.ts";
import { textOf } from "../json-text.ts";
import { type ArraySources, partialOf } from "./array-source.ts";
import { type RangeFacts, readLease } from "./lease-text.ts";

type CompleteBody = InputOf<typeof WORKER_OPERATIONS.completeTask>["body"];
type FailBody = InputOf<typeof WORKER_OPERATIONS.failTask>["body"];
type ErrorBody = FailBody["error"];

/** Errors: INVALID_REQUEST naming the field. */
export function completedOutcome(
  body: CompleteBody,
  { now, sources }: { readonly now: number; readonly sources: ArraySources },
): CompletedTask | CompletedChunk {
  const method = "completeTask";
  const { ref, at, range } = readLease(body.lease, { method, path: "body.lease" });
  const attempt = { lease: ref, durationMs: body.durationMs ?? Math.max(0, now - at), ...outputOf(body) };
  const { start } = ref;
  if (range === undefined || start === undefined) {
    refuseField("values", body.values, "belongs to ranges of arrays; this task has one result");
    refuseField("failures", body.failures, "belongs to ranges of arrays; use fail for a task");
    const result = textOf({ method, path: "body.result", value: body.result ?? null });
    return { kind: "completed", ...attempt, result };
  }
  refuseField("result", body.result, "belongs to single tasks; a range of an array has values");
  return { kind: "chunk", ...attempt, ...chunkOf({ body, start, range }, sources) };
}

interface Chunk {
  readonly body: CompleteBody;
  readonly start: number;
  readonly range: RangeFacts;
}

function chunkOf(
  { body, start, range }: Chunk,
  sources: ArraySources,
): Pick<CompletedChunk, "values" | "partial" | "failures"> {
  const method = "completeTask";
  const { end, keeps, source } = range;
  const failures = itemFailures({ body, start, range });
  const failed = new Set(failures.map(({ item }) => item));
  const given = body.values;
  if (given === undefined || given.length !== end - start) {
    const problem = `has ${given === undefined ? "no" : given.length} entries; expected ${end - start}, one per item in order`;
    throw new HoldfastError("INVALID_REQUEST", { method, path: "body.values", problem });
  }
  const values = given.map((value, at) => (failed.has(start + at) ? null : value));
  // Also where the values are not kept: what cannot be written cannot be aggregated either.
  const text = textOf({ method, path: "body.values", value: values });
  return {
    failures,
    ...(keeps ? { values: text } : {}),
    ...(source === undefined ? {} : { partial: partialText({ source, start, values, failed }, sources) }),
  };
}

function partialText(
  folded: {
    readonly source: string | null;
    readonly start: number;
    readonly values: readonly unknown[];
    readonly failed: ReadonlySet<number>;
  },
  sources: ArraySources,
): string {
  const { space, aggregator } = folded.source === null ? {} : sources.read(folded.source);
  if (space === undefined || aggregator === undefined) {
    throw new HoldfastError("INVALID_REQUEST", {
      method: "completeTask",
      path: "body.lease",
      problem: "is of an array whose results no server can aggregate; fail it with the problem that the claim told",
    });
  }
  return partialOf({ space, aggregator }, folded);
}

function itemFailures({ body, start, range }: Chunk): ItemFailure[] {
  const seen = new Set<number>();
  const failures = (body.failures ?? []).map(({ item, error }, at) => {
    const path = `body.failures[${at}].item`;
    if (item < start || item >= range.end || seen.has(item)) {
      const problem = seen.has(item) ? `names item ${item} again` : `is ${item}; expected ${start} to ${range.end - 1}`;
      throw new HoldfastError("INVALID_REQUEST", { method: "completeTask", path, problem });
    }
    seen.add(item);
    return { item, failure: failureOf(error) };
  });
  return failures.toSorted((left, right) => left.item - right.item);
}

/** Errors: INVALID_REQUEST naming the field. */
export function failedOutcome(body: FailBody, now: number): FailedAttempt {
  const method = "failTask";
  const { ref, at, range } = readLease(body.lease, { method, path: "body.lease" });
  const { item } = body;
  const isOutside =
    range === undefined || ref.start === undefined || (item ?? ref.start) < ref.start || (item ?? 0) >= range.end;
  if (item !== undefined && isOutside) {
    throw new HoldfastError("INVALID_REQUEST", {
      method,
      path: "body.item",
      problem: `is ${item}, no item of this task`,
    });
  }
  return {
    kind: "failed",
    lease: ref,
    durationMs: body.durationMs ?? Math.max(0, now - at),
    ...outputOf(body),
    failure: failureOf(body.error),
    ...(item === undefined ? {} : { culprit: item }),
  };
}

function refuseField(name: string, value: unknown, problem: string): void {
  if (value === undefined) return;
  throw new HoldfastError("INVALID_REQUEST", { method: "completeTask", path: `body.${name}`, problem });
}

function failureOf({ message, class: failureClass, code, stack }: ErrorBody): Failure {
  return {
    class: failureClass,
    message: beginningOf(message, MAX_FAILURE_MESSAGE),
    ...(code === undefined ? {} : { code }),
    ...(stack === undefined ? {} : { stack: beginningOf(stack, MAX_FAILURE_STACK) }),
  };
}

function outputOf({ stdout = "", stderr = "" }: { readonly stdout?: string; readonly stderr?: string }): {
  readonly output?: CapturedOutput;
} {
  if (stdout === "" && stderr === "") return {};
  const truncated = stdout.length > MAX_OUTPUT_BYTES || stderr.length > MAX_OUTPUT_BYTES;
  return { output: { stdout: endOf(stdout), stderr: endOf(stderr), truncated } };
}

/** A cut may fall into the middle of a character that is written as two. */
function beginningOf(text: string, length: number): string {
  return text.length <= length ? text : text.slice(0, length).toWellFormed();
}

function endOf(text: string): string {
  return text.length <= MAX_OUTPUT_BYTES ? text : text.slice(-MAX_OUTPUT_BYTES).toWellFormed();
}
