/**
 * A submitted piece of work: watch it, steer it, read what comes out of it.
 *
 * The handle holds no state of the execution; every answer is the broker's. So a handle may be
 * dropped and made again (`client.get`), in another process, at any time.
 */
import type { ClientBroker } from "./client-broker.ts";
import type { BrokerEvent, DeadLetter, SignalReply, VerificationReport } from "../broker/contract.ts";
import { MAX_PAGE } from "../broker/limits.ts";
import { compileAggregator } from "../core/aggregate.ts";
import { isExecutionEnded } from "../core/states.ts";
import { HoldfastError } from "../errors/index.ts";
import type { Clock } from "../util/clock.ts";
import type { ExecutionReader } from "./definition.ts";
import { type EditOptions, ExecutionEdit, toEdits } from "./edit.ts";
import { followEvents, followResults, untilEnded } from "./follow.ts";
import { type ExecutionStatus, type Progress, toStatus, watchProgress } from "./progress.ts";
import { jsonText } from "./json-text.ts";
import { findReducers } from "./reducer.ts";
import { type Result, streamResults } from "./results.ts";
import { type LiveGraph, readLiveGraph } from "./workflow/live-graph.ts";
import { failedNodes, followNodes, type NodeStatus, outputsOf, taskOf } from "./workflow/nodes.ts";
import { fillOutputs } from "./workflow/template.ts";

export interface WaitOptions {
  /** Throw when the execution failed or was cancelled. Default true. */
  readonly throwOnFailure?: boolean;
  readonly signal?: AbortSignal;
}

export interface ResultsOptions {
  /** In index order instead of commit order. Default false. */
  readonly ordered?: boolean;
  /** False: only what is committed now, without waiting for more. Default true. */
  readonly follow?: boolean;
  /** With `ordered`: most values that wait for their turn in memory; what is beyond is read again. Default 100,000. */
  readonly bufferedItems?: number;
  readonly signal?: AbortSignal;
}

export interface ProgressOptions {
  /** Shortest time between two looks, milliseconds. Default 100. */
  readonly everyMs?: number;
  readonly signal?: AbortSignal;
}

export interface AggregateOptions {
  /** False: of what is committed now. Default true: of the ended execution. */
  readonly follow?: boolean;
  readonly signal?: AbortSignal;
}

export interface NodesOptions {
  readonly signal?: AbortSignal;
}

export interface EventsOptions {
  /** Events after this one. Default 0: from the first that is kept. */
  readonly cursor?: number;
  readonly signal?: AbortSignal;
}

/** An input, or a range of a sweep's points, that failed for good. */
export interface FailedItems<Point> extends Pick<DeadLetter, "failure" | "failures" | "losses" | "at"> {
  /** The first of them. */
  readonly index: number;
  /** How many in a row. */
  readonly count: number;
  /** The point of the first. */
  readonly point: Point;
}

const DEFAULT_BUFFERED_ITEMS = 100_000;
const DEFAULT_PROGRESS_MS = 100;

export interface ExecutionOrigin {
  readonly broker: ClientBroker;
  readonly clock: Clock;
  readonly id: string;
  readonly reader: ExecutionReader;
}

/**
 * The handle of an execution.
 *
 * @example
 * const execution = await client.submit(sweep(crossValidate, { over, reduce: topK("accuracy", 10) }));
 * for await (const { point, value } of execution.results()) console.log(point, value);
 * const { entries } = await execution.aggregate();
 */
export class Execution<Point = unknown, Value = unknown, Aggregate = unknown> {
  readonly id: string;
  readonly #broker: ClientBroker;
  readonly #clock: Clock;
  readonly #reader: ExecutionReader;

  constructor(origin: ExecutionOrigin) {
    this.id = origin.id;
    this.#broker = origin.broker;
    this.#clock = origin.clock;
    this.#reader = origin.reader;
  }

  /** State, counters and times, now. */
  async status(): Promise<ExecutionStatus> {
    return toStatus(await this.#broker.getExecution({ executionId: this.id }));
  }

  /**
   * Resolves with the last status when the execution has ended.
   *
   * @throws HoldfastError EXECUTION_FAILED or EXECUTION_CANCELLED, unless `throwOnFailure` is false.
   * @example const { counters } = await execution.wait();
   */
  async wait(options: WaitOptions = {}): Promise<ExecutionStatus> {
    const view = await untilEnded(this.#broker, { executionId: this.id, signal: options.signal });
    const status = toStatus(view);
    if (options.throwOnFailure !== false) await this.#refuseFailure(status);
    return status;
  }

  /**
   * Every result as it is committed, until the execution has ended. Each comes once, whatever
   * happened to workers meanwhile; a second call starts again from the first.
   *
   * @throws HoldfastError INVALID_OPTION for a sweep with `results: "discard"`.
   * @example for await (const { index, point, value } of execution.results()) console.log(index, point, value);
   */
  results(options: ResultsOptions = {}): AsyncGenerator<Result<Point, Value>, void> {
    return streamResults<Point, Value>({
      broker: this.#broker,
      executionId: this.id,
      openPoints: this.#reader.openPoints,
      ordered: options.ordered ?? false,
      follow: options.follow ?? true,
      bufferedItems: options.bufferedItems ?? DEFAULT_BUFFERED_ITEMS,
      signal: options.signal,
    });
  }

  /**
   * Progress after every change, the first at once and the last of the ended execution.
   *
   * @example for await (const { done, total, etaMs } of execution.progress()) console.log(done, total, etaMs);
   */
  progress(options: ProgressOptions = {}): AsyncGenerator<Progress, void> {
    return watchProgress({
      broker: this.#broker,
      clock: this.#clock,
      executionId: this.id,
      everyMs: options.everyMs ?? DEFAULT_PROGRESS_MS,
      signal: options.signal,
    });
  }

  /**
   * The answer of the sweep's `reduce` over every point that succeeded. Only the chunks' partials
   * travel, and each is merged once.
   *
   * @throws HoldfastError INVALID_OPTION when the sweep has no `reduce`.
   * @example const { best } = await execution.aggregate();
   */
  async aggregate(options: AggregateOptions = {}): Promise<Aggregate> {
    const { reduce, reducers } = this.#reader;
    if (reduce === undefined) {
      throw new HoldfastError("INVALID_OPTION", {
        option: "reduce",
        value: "missing",
        expected: "a sweep that was submitted with one",
      });
    }
    const aggregator = compileAggregator(reduce, await findReducers(reduce, reducers));
    const sum = aggregator.empty();
    const pages = followResults(this.#broker, {
      executionId: this.id,
      partialsOnly: true,
      follow: options.follow ?? true,
      signal: options.signal,
    });
    for await (const { rows } of pages) {
      for (const { partial } of rows) if (partial !== undefined) aggregator.merge(sum, aggregator.decode(partial));
    }
    return aggregator.finish(sum) as Aggregate;
  }

  /**
   * Of a workflow: its nodes as they are, then every change of one, until the execution has ended. What a
   * map or a sub-workflow adds comes when it is there: `tests[3]`, `build/compile`.
   *
   * @example for await (const { id, state, worker } of execution.nodes()) console.log(id, state, worker);
   */
  nodes(options: NodesOptions = {}): AsyncGenerator<NodeStatus, void> {
    return followNodes({ broker: this.#broker, executionId: this.id, signal: options.signal });
  }

  /**
   * Of a workflow that has not ended: its nodes with what they come after, as they are now. Edits by the ids
   * of nodes begin here.
   *
   * @example
   * const graph = await execution.graph();
   * const edit = await graph.edit((e) => e.prioritise("api", 9));
   * console.log(edit.before.criticalPathMs, edit.after.criticalPathMs);
   * await edit.apply();
   */
  graph(): Promise<LiveGraph> {
    return readLiveGraph({ broker: this.#broker, clock: this.#clock, executionId: this.id });
  }

  /** Of a workflow: the outputs of its nodes by id, of those that have completed by now. */
  async outputs(): Promise<Readonly<Record<string, unknown>>> {
    return outputsOf({ broker: this.#broker, executionId: this.id });
  }

  /**
   * Of a workflow: what it answers once it has ended, `null` where a node has no output.
   *
   * @throws HoldfastError EXECUTION_FAILED or EXECUTION_CANCELLED, unless `throwOnFailure` is false;
   * INVALID_OPTION when it is not known here what it answers.
   * @example const { url } = await (await client.submit(release)).output();
   */
  async output(options: WaitOptions = {}): Promise<Aggregate> {
    const answer = this.#reader.workflow?.output;
    if (answer === undefined) {
      const expected = "a workflow; `outputs()` has what came out of its nodes";
      throw new HoldfastError("INVALID_OPTION", { option: "output", value: "not known here", expected });
    }
    await this.wait(options);
    return fillOutputs(answer, await this.outputs()) as Aggregate;
  }

  /** Inputs and points that failed for good, with their failures: the first thousand. */
  async failures(): Promise<readonly FailedItems<Point>[]> {
    const letters = await this.#deadLetters();
    const nodes = await this.#failedNodes();
    const points = await this.#reader.openPoints();
    try {
      return letters.map(({ task, start, end, failure, failures, losses, at }) => {
        const index = start ?? task;
        return {
          index,
          count: (end ?? index + 1) - index,
          point: (nodes.get(task) ?? points.at(index)) as Point,
          failure,
          failures,
          losses,
          at,
        };
      });
    } finally {
      points.close();
    }
  }

  /** What maps, sub-workflows and compensations have added is no point, but has an id. */
  async #failedNodes(): Promise<ReadonlyMap<number, string>> {
    return this.#reader.workflow === undefined
      ? new Map()
      : failedNodes({ broker: this.#broker, executionId: this.id });
  }

  async #refuseFailure({ state, executionId, counters, firstFailure }: ExecutionStatus): Promise<void> {
    if (state === "cancelled") throw new HoldfastError("EXECUTION_CANCELLED", { execution: executionId });
    if (state !== "failed") return;
    const { completed, total, failed } = counters;
    const message = firstFailure?.message ?? "unknown";
    const nodes = await this.#failedNodes();
    const first = (nodes.size === 0 ? [] : await this.#deadLetters())
      .filter(({ failure }) => failure.message === message)
      .toSorted((one, other) => one.at - other.at)[0];
    const node = nodes.get(first?.task ?? -1);
    const failure = node === undefined ? message : `node ${node}: ${message}`;
    throw new HoldfastError("EXECUTION_FAILED", { execution: executionId, state, completed, total, failed, failure });
  }

  async #deadLetters(): Promise<readonly DeadLetter[]> {
    return (await this.#broker.listDeadLetters({ executionId: this.id, limit: MAX_PAGE })).letters;
  }

  /** What came out of `verify` so far; undefined when nothing was to be verified. Final once the execution has ended. */
  async verification(): Promise<VerificationReport | undefined> {
    return (await this.#broker.getExecution({ executionId: this.id })).verification;
  }

  /** Ends the execution now. What is committed stays. @throws HoldfastError EXECUTION_ENDED */
  async cancel(reason?: string): Promise<ExecutionStatus> {
    return toStatus(await this.#broker.cancel({ executionId: this.id, ...(reason === undefined ? {} : { reason }) }));
  }

  /** Nothing more is started; what runs finishes. @throws HoldfastError EXECUTION_ENDED */
  async pause(): Promise<ExecutionStatus> {
    return toStatus(await this.#broker.pause({ executionId: this.id }));
  }

  /** Goes on after `pause`. @throws HoldfastError EXECUTION_ENDED */
  async resume(): Promise<ExecutionStatus> {
    return toStatus(await this.#broker.resume({ executionId: this.id }));
  }

  /**
   * Gives the execution a named value: nodes that wait for the signal go on with it, and those that
   * will. Its first payload stays; `accepted` is false when it has another one already.
   *
   * @throws HoldfastError INVALID_INPUT, EXECUTION_ENDED, PAYLOAD_TOO_LARGE.
   * @example await execution.signal("data-arrived", { rows: 1_200 });
   */
  async signal(name: string, payload: unknown = null): Promise<SignalReply> {
    return this.#broker.signal({ executionId: this.id, signal: name, payload: payloadText(payload) });
  }

  /**
   * Inputs and points that failed for good are queued again, as if they had not been tried yet; with
   * `indexes` only these. An execution that had ended runs again.
   *
   * @throws HoldfastError EXECUTION_CANCELLED, QUEUE_FULL.
   * @example await execution.retry();
   */
  async retry(indexes?: readonly number[]): Promise<{ readonly retried: number }> {
    if (indexes === undefined) {
      const { changed } = await this.#broker.retry({ executionId: this.id });
      return { retried: changed };
    }
    const wanted = new Set(indexes);
    const letters = (await this.#deadLetters()).filter(({ start, task }) => wanted.has(start ?? task));
    if (letters.length === 0) return { retried: 0 };
    const { changed } = await this.#broker.retry({
      executionId: this.id,
      letters: letters.map(({ task, start }) => ({ task, ...(start === undefined ? {} : { start }) })),
    });
    return { retried: changed };
  }

  /**
   * A node of a workflow, or a task by its number, and all that comes after it lose what they have and
   * run again; all others keep their outputs. An execution that had ended runs again.
   *
   * @throws HoldfastError TASK_UNKNOWN, EXECUTION_CANCELLED, QUEUE_FULL, INPUTS_NOT_KEPT when it was submitted
   * with `keepInputs: false`; INVALID_REQUEST for what a dead letter holds up.
   * @example await execution.rerun("tests");
   */
  async rerun(node: string | number): Promise<{ readonly reset: number }> {
    const params = { broker: this.#broker, executionId: this.id };
    const task = typeof node === "number" ? node : await taskOf(params, node);
    const { reset } = await this.#broker.rerun({ executionId: this.id, task });
    return { reset };
  }

  /**
   * What an edit of the execution would do now; `apply` does it. Tasks of a batch are numbered like its
   * inputs; added ones get the numbers from `changes.firstAdded` on, and are results without a point.
   *
   * @throws HoldfastError INVALID_OPTION, EXECUTION_ENDED, TASK_UNKNOWN, QUEUE_FULL.
   * @example
   * const edit = await execution.edit({ add: batch(resize, late), remove: [7], priority: "deployment" });
   * if (edit.changes.ends === undefined) await edit.apply();
   */
  async edit(options: EditOptions): Promise<ExecutionEdit> {
    const edits = await toEdits(options);
    const reply = await this.#broker.editExecution({ executionId: this.id, edits, apply: false });
    // Their numbers would be those of its points.
    if (options.add !== undefined && reply.execution.kind === "sweep") {
      throw new HoldfastError("INVALID_OPTION", {
        option: "add",
        value: "given for a sweep",
        expected: "an execution of separate tasks",
      });
    }
    return new ExecutionEdit(this.#broker, edits, reply);
  }

  /**
   * What taking the last edit back would do now; `apply` does it. Once: an undo is not taken back.
   *
   * @throws HoldfastError EDIT_CONFLICT when that is not possible any more, for an added task has
   * completed, say; INVALID_REQUEST when there is no edit; EXECUTION_ENDED, QUEUE_FULL.
   * @example await (await execution.undo()).apply();
   */
  async undo(): Promise<ExecutionEdit> {
    const edits = [{ kind: "undo" } as const];
    return new ExecutionEdit(
      this.#broker,
      edits,
      await this.#broker.editExecution({ executionId: this.id, edits, apply: false }),
    );
  }

  /**
   * Every transition of the execution and its tasks, until it has ended. A reader that stops goes
   * on with the last event's `cursor`.
   *
   * @example for await (const { at, change } of execution.events()) console.log(at, change.kind, change.state);
   */
  async *events(options: EventsOptions = {}): AsyncGenerator<BrokerEvent, void> {
    const follow = { executionId: this.id, cursor: options.cursor ?? 0, firstAtOnce: true, signal: options.signal };
    for await (const { events } of followEvents(this.#broker, follow)) {
      for (const event of events) {
        yield event;
        if (event.change.kind === "execution" && isExecutionEnded(event.change.state)) return;
      }
      // The last event may have been read before, or purged.
      if (events.length === 0 && isExecutionEnded((await this.status()).state)) return;
    }
  }
}

function payloadText(payload: unknown): string {
  const text = jsonText(payload, "payload");
  if (text !== undefined) return text;
  throw new HoldfastError("INVALID_INPUT", { path: "payload", problem: "is not JSON" });
}
