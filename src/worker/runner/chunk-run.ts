/**
 * Runs the items of one chunk, in order, and answers with all of them at once: what a chunk
 * publishes is whole or nothing.
 *
 * An item that fails is noted and the others go on. User code may keep the event loop for itself, so
 * between items the loop gets a turn now and then, and the supervisor is told where the chunk is:
 * before every item while items are long or the lease asks for care (`exact`), otherwise at most
 * every PROGRESS_INTERVAL_MS, so that an item which does nothing costs next to nothing.
 */
import type { ItemFailure } from "../../broker/contract.ts";
import { MAX_PAYLOAD } from "../../broker/limits.ts";
import type { Failure } from "../../core/failure.ts";
import { HoldfastError } from "../../errors/index.ts";
import { checkAgainst } from "../../sdk/standard-schema.ts";
import { PROGRESS_INTERVAL_MS, type ProgressReport } from "../runner-wire.ts";
import { AttemptContext } from "./attempt-context.ts";
import { refusedInput } from "./call-task.ts";
import { failureFromError, failureFromThrown } from "./failure.ts";
import { type Ending, failed, isThenable, type Job, loadFailure, resultText } from "./job.ts";
import type { LoadedArray } from "./task-loader.ts";

/** The event loop gets a turn this often. */
const TURN_INTERVAL_MS = 10;
/** From this duration on an item is worth a message of its own. */
const LONG_ITEM_MS = 2;
/** What the results of one chunk may come to; the broker's limit. */
export const MAX_VALUES_LENGTH = 16 * MAX_PAYLOAD;
/** Failures of one chunk that keep their stacks, and those that keep a long message. */
const FAILURES_WITH_STACK = 10;
const FAILURES_IN_FULL = 1_000;
const SHORT_MESSAGE = 200;

export interface ChunkReporter {
  tell(report: ProgressReport): void;
}

export async function runChunk(job: Job, reporter: ChunkReporter): Promise<Ending> {
  let array: LoadedArray;
  try {
    array = await job.spec.loadArray();
  } catch (thrown) {
    return failed(loadFailure(thrown));
  }
  return new ChunkRun(job, array, reporter).run();
}

class ChunkRun {
  readonly #job: Job;
  readonly #array: LoadedArray;
  readonly #reporter: ChunkReporter;
  readonly #keepsValues: boolean;
  readonly #timeoutMs: number;
  readonly #accumulator: unknown;
  readonly #failures: ItemFailure[] = [];
  #values = "[";
  #itemStartedAt = 0;
  #itemTimedOut = false;
  #reportedAt = 0;
  #turnAt = 0;

  constructor(job: Job, array: LoadedArray, reporter: ChunkReporter) {
    this.#job = job;
    this.#array = array;
    this.#reporter = reporter;
    this.#keepsValues = job.spec.command.results !== "discard";
    this.#timeoutMs = job.spec.command.timeoutMs ?? Infinity;
    this.#accumulator = array.aggregator?.empty();
    job.onTimeout = () => this.#supervisorSaysOverdue();
  }

  async run(): Promise<Ending> {
    const { start = 0, end = start + 1, careful = false } = this.#job.run;
    this.#itemStartedAt = performance.now();
    this.#turnAt = this.#itemStartedAt;
    this.#reportedAt = this.#itemStartedAt;
    for (let item = start; item < end; item += 1) {
      if (item > start) this.#begin(item);
      // A turn after each item of a careful chunk, so that what an item left behind is charged to it.
      if (careful || this.#itemStartedAt - this.#turnAt >= TURN_INTERVAL_MS) await this.#giveTurn();
      if (this.#job.control.isStopped) return failed(failureFromThrown(this.#job.control.signal.reason));
      const wait = this.#runItem(item);
      if (wait !== undefined) await wait;
    }
    return this.#ending();
  }

  /** Sees to it that the supervisor knows as much about the item as it was promised. */
  #begin(item: number): void {
    const now = performance.now();
    const lastTookMs = now - this.#itemStartedAt;
    const wasExact = this.#job.isItemSure;
    const exact = this.#job.run.careful === true || lastTookMs >= LONG_ITEM_MS;
    this.#itemStartedAt = now;
    this.#job.item = item;
    this.#job.isItemSure = exact;
    if (exact || wasExact || now - this.#reportedAt >= PROGRESS_INTERVAL_MS) this.#announce(now);
  }

  #announce(now: number): void {
    this.#reportedAt = now;
    const { run, item = 0, isItemSure: exact } = this.#job;
    this.#reporter.tell({ type: "progress", id: run.id, item, exact });
  }

  async #giveTurn(): Promise<void> {
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
    this.#itemStartedAt = performance.now();
    this.#turnAt = this.#itemStartedAt;
  }

  /** By this runner's own watch the item may have begun only now: then it is announced again. */
  #supervisorSaysOverdue(): void {
    const now = performance.now();
    if (now - this.#itemStartedAt < this.#timeoutMs) {
      this.#announce(now);
      return;
    }
    this.#itemTimedOut = true;
    this.#job.control.abort(new HoldfastError("TASK_TIMEOUT", { timeoutMs: this.#timeoutMs }));
  }

  /** A promise only if there is something to wait for. */
  #runItem(item: number): Promise<void> | undefined {
    try {
      const { definition, space } = this.#array;
      const point = space.at(item);
      if (definition.input === undefined) return this.#call(item, point, point);
      const checked = checkAgainst(definition.input, point);
      if (checked instanceof Promise) return this.#callLate(item, point, checked);
      if (checked.ok) return this.#call(item, point, checked.value);
      this.#fail(item, refusedInput(checked));
    } catch (thrown) {
      this.#fail(item, failureFromThrown(thrown));
    }
    return undefined;
  }

  async #callLate(item: number, point: unknown, checking: ReturnType<typeof checkAgainst>): Promise<void> {
    try {
      const checked = await checking;
      if (checked.ok) await this.#call(item, point, checked.value);
      else this.#fail(item, refusedInput(checked));
    } catch (thrown) {
      this.#fail(item, failureFromThrown(thrown));
    }
  }

  #call(item: number, point: unknown, input: unknown): Promise<void> | undefined {
    const answer: unknown = this.#array.definition.run(input, new AttemptContext(this.#job, item));
    if (!isThenable(answer)) {
      this.#succeed(item, point, answer);
      return undefined;
    }
    return Promise.resolve(answer).then(
      (value) => this.#succeed(item, point, value),
      (thrown: unknown) => this.#fail(item, failureFromThrown(thrown)),
    );
  }

  #succeed(item: number, point: unknown, value: unknown): void {
    if (this.#isOverdue()) {
      this.#fail(item, this.#timeoutFailure());
      return;
    }
    const result = resultText(value);
    if ("failure" in result) {
      this.#fail(item, result.failure);
      return;
    }
    if (this.#keepsValues && this.#values.length + result.text.length + 2 > MAX_VALUES_LENGTH) {
      this.#fail(item, tooMuchTogether());
      return;
    }
    try {
      this.#array.aggregator?.add(this.#accumulator, { index: item, point, value: asItTravels(value, result.text) });
    } catch (thrown) {
      this.#fail(item, failureFromThrown(thrown)); // a user's reducer
      return;
    }
    this.#keep(item, result.text);
  }

  #fail(item: number, failure: Failure): void {
    const timedOut = this.#itemTimedOut || this.#isOverdue();
    if (timedOut) {
      this.#itemTimedOut = false;
      this.#job.control.renew();
    }
    this.#failures.push({ item, failure: this.#bounded(timedOut ? this.#timeoutFailure() : failure) });
    this.#keep(item, "null");
  }

  #keep(item: number, text: string): void {
    if (this.#keepsValues) this.#values += item === this.#job.run.start ? text : `,${text}`;
  }

  #isOverdue(): boolean {
    return this.#timeoutMs !== Infinity && performance.now() - this.#itemStartedAt > this.#timeoutMs;
  }

  #timeoutFailure(): Failure {
    return failureFromError(new HoldfastError("TASK_TIMEOUT", { timeoutMs: this.#timeoutMs }), "timeout");
  }

  /** Thousands of equal failures need not all tell their whole story. */
  #bounded(failure: Failure): Failure {
    const earlier = this.#failures.length;
    if (earlier < FAILURES_WITH_STACK) return failure;
    const { stack: _stack, ...rest } = failure;
    return earlier < FAILURES_IN_FULL ? rest : { ...rest, message: rest.message.slice(0, SHORT_MESSAGE) };
  }

  #ending(): Ending {
    let partial: string | undefined;
    try {
      partial = this.#array.aggregator?.encode(this.#accumulator);
    } catch (thrown) {
      return failed(failureFromThrown(thrown)); // a user's reducer made something that is no JSON
    }
    if (partial !== undefined && partial.length > MAX_PAYLOAD) {
      const error = new HoldfastError("PAYLOAD_TOO_LARGE", {
        what: "A chunk's aggregate",
        bytes: partial.length,
        limit: MAX_PAYLOAD,
      });
      return failed(failureFromError(error, "invalid-input"));
    }
    return {
      type: "chunk",
      failures: this.#failures,
      ...(this.#keepsValues ? { values: `${this.#values}]` } : {}),
      ...(partial === undefined ? {} : { partial }),
    };
  }
}

/** The value as whoever reads the results will see it: what JSON drops or changes must not count in an aggregate either. */
function asItTravels(value: unknown, text: string): unknown {
  const isUnchanged =
    typeof value === "string" || typeof value === "boolean" || (Number.isFinite(value) && !Object.is(value, -0));
  return isUnchanged ? value : JSON.parse(text);
}

/** Retried, and then alone in its chunk, where it has room. */
function tooMuchTogether(): Failure {
  const what = "The results of the chunk together, of which this is one,";
  const error = new HoldfastError("PAYLOAD_TOO_LARGE", {
    what,
    bytes: `more than ${MAX_VALUES_LENGTH}`,
    limit: MAX_VALUES_LENGTH,
  });
  return failureFromError(error, "unknown");
}
