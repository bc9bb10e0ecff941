/**
 * The client: submits definitions and finds executions again.
 */
import type { ClientBroker } from "./client-broker.ts";
import type { ExecutionView, ListExecutionsParams, SubmitReceipt } from "../broker/contract.ts";
import { MAX_PAGE } from "../broker/limits.ts";
import { HoldfastError } from "../errors/index.ts";
import { type Clock, systemClock } from "../util/clock.ts";
import { lifeName } from "../util/life-names.ts";
import type { Definition, ExecutionReader, Prepared } from "./definition.ts";
import { Execution } from "./execution.ts";
import { readNotes } from "./notes.ts";
import { openSpace, pointsFrom } from "./points.ts";
import { type ExecutionStatus, toStatus } from "./progress.ts";
import { measuredDurations } from "./workflow/durations.ts";
import { readTasks } from "./workflow/nodes.ts";
import { readWorkflowNotes } from "./workflow/notes.ts";
import { type HeldLock, type LockOptions, SharedState, type StateOrigin, takeLock } from "./shared-state.ts";

export interface ClientOptions {
  readonly broker: ClientBroker;
  readonly clock?: Clock;
}

export type ListOptions = Partial<Omit<ListExecutionsParams, "limit">> & {
  /** Default 50, at most 1,000. */
  readonly limit?: number;
};

const DEFAULT_LIST_LIMIT = 50;
/** Executions named when a prefix fits several. */
const CANDIDATES_SHOWN = 5;

/**
 * A connection to a broker, as a user's program sees it. `connect` makes one.
 *
 * @example
 * await using client = await connect();
 * const execution = await client.submit(sweep(simulate, { over: range(0, 1_000) }));
 * await execution.wait();
 */
export class Client implements AsyncDisposable {
  /** Values that programs and tasks share. */
  readonly state: SharedState;
  readonly #broker: ClientBroker;
  readonly #clock: Clock;
  readonly #origin: StateOrigin;

  constructor(options: ClientOptions) {
    this.#broker = options.broker;
    // A program that waits for an execution has nothing else that keeps it alive.
    this.#clock = options.clock ?? systemClock({ keepAlive: true });
    this.#origin = { broker: this.#broker, clock: this.#clock, newId: lifeName };
    this.state = new SharedState(this.#origin);
  }

  /**
   * Checks a definition, submits it, and returns the handle of its execution. With a `key` that was
   * submitted before, that is the earlier execution; if its submitter died half-way through a large
   * batch, the rest is sent now.
   *
   * @throws HoldfastError INVALID_INPUT with the path of the first wrong value, INVALID_SPACE,
   * INVALID_PARAMETER_FILE, INVALID_WORKFLOW, PAYLOAD_TOO_LARGE, KEY_CONFLICT, QUEUE_FULL, STORE_FULL. Nothing is
   * left running then.
   */
  async submit<Point, Value, Aggregate>(
    definition: Definition<Point, Value, Aggregate>,
  ): Promise<Execution<Point, Value, Aggregate>> {
    const measure = (workflow: string): Promise<ReadonlyMap<string, number>> =>
      measuredDurations(this.#broker, workflow, this.#clock);
    const prepared = await definition.prepare({ measure });
    const { executions } = await this.#broker.submit({ submissions: [prepared.submission] });
    const receipt = executions[0];
    if (receipt === undefined)
      throw new HoldfastError("INTERNAL", { problem: "the broker answered a submission with nothing" });
    try {
      await this.#sendRest(prepared, receipt);
    } catch (thrown) {
      // Under the user's own key the half that is there can be completed by submitting again.
      if (prepared.submission.key === undefined) await this.#abandon(receipt.executionId, thrown);
      throw thrown;
    }
    return new Execution({
      broker: this.#broker,
      clock: this.#clock,
      id: receipt.executionId,
      reader: prepared.reader,
    });
  }

  async #sendRest({ rest }: Prepared, receipt: SubmitReceipt): Promise<void> {
    const { executionId, created } = receipt;
    for (const [at, groups] of rest.entries()) {
      try {
        await this.#broker.extend({ executionId, part: at + 1, groups, seal: at === rest.length - 1 });
      } catch (thrown) {
        // Submitted before and over since: there is nothing to add.
        if (!created && HoldfastError.is(thrown, "EXECUTION_ENDED")) return;
        throw thrown;
      }
    }
  }

  async #abandon(executionId: string, cause: unknown): Promise<void> {
    const reason = `its submitter could not send all of it: ${HoldfastError.from(cause).message}`;
    try {
      await this.#broker.cancel({ executionId, reason });
    } catch {
      // The first error is the one to tell. An open execution without its rest ends by no other way
      // than by hand, but a broker that cannot be reached cannot be told to cancel either.
    }
  }

  /**
   * The handle of an execution that was submitted before, by its id or the beginning of it. Give its
   * definition to have points and values typed (and a batch's inputs as points).
   *
   * @throws HoldfastError EXECUTION_NOT_FOUND, EXECUTION_AMBIGUOUS.
   * @example const execution = await client.get("4f1c");
   */
  async get<Point = unknown, Value = unknown, Aggregate = unknown>(
    id: string,
    definition?: Definition<Point, Value, Aggregate>,
  ): Promise<Execution<Point, Value, Aggregate>> {
    const view = await this.#find(id);
    const reader: ExecutionReader = { ...readerOf(this.#broker, view), ...definition?.reader() };
    return new Execution({ broker: this.#broker, clock: this.#clock, id: view.executionId, reader });
  }

  /**
   * Executions, newest first.
   *
   * @example const { executions, next } = await client.list({ states: ["running"], limit: 20 });
   */
  async list(
    options: ListOptions = {},
  ): Promise<{ readonly executions: readonly ExecutionStatus[]; readonly next?: string }> {
    const limit = Math.min(options.limit ?? DEFAULT_LIST_LIMIT, MAX_PAGE);
    const { executions, next } = await this.#broker.listExecutions({ ...options, limit });
    return { executions: executions.map(toStatus), ...(next === undefined ? {} : { next }) };
  }

  /**
   * Takes a lock and extends it by itself until it is released. Waits for its turn unless told
   * otherwise.
   *
   * @throws HoldfastError LOCK_TAKEN when it was not had within `wait`.
   * @example await using lock = await client.lock("nightly-report", { wait: 0 });
   */
  lock(name: string, options?: LockOptions): Promise<HeldLock> {
    return takeLock(this.#origin, name, options);
  }

  /** Lets go of the broker. Executions go on. */
  async close(): Promise<void> {
    await this.#broker.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #find(id: string): Promise<ExecutionView> {
    const prefix = id.trim();
    if (prefix === "") throw new HoldfastError("EXECUTION_NOT_FOUND", { execution: '""' });
    const { executions } = await this.#broker.listExecutions({ idPrefix: prefix, limit: CANDIDATES_SHOWN });
    const exact = executions.find(({ executionId }) => executionId === prefix);
    const found = exact ?? executions[0];
    if (found === undefined) throw new HoldfastError("EXECUTION_NOT_FOUND", { execution: prefix });
    if (exact !== undefined || executions.length === 1) return found;
    const candidates = executions.map(({ executionId, name }) => `${executionId} (${name})`).join(", ");
    throw new HoldfastError("EXECUTION_AMBIGUOUS", { execution: prefix, candidates });
  }
}

/** How to read an execution that is known by its submitter's notes only. */
function readerOf(broker: ClientBroker, view: ExecutionView): ExecutionReader {
  if (view.kind === "workflow") return workflowReader(broker, view);
  const notes = readNotes(view.meta);
  const space = notes?.space;
  return {
    openPoints: space === undefined ? pointsFrom(() => undefined) : () => openSpace(space),
    reduce: notes?.reduce,
    reducers: [],
  };
}

/** Its points are the ids of its nodes. */
function workflowReader(broker: ClientBroker, { executionId, meta }: ExecutionView): ExecutionReader {
  const output = readWorkflowNotes(meta)?.output;
  return {
    openPoints: async () => {
      const ids = new Map<number, string | undefined>();
      for await (const { task, label } of readTasks({ broker, executionId })) ids.set(task, label);
      return pointsFrom((index) => ids.get(index))();
    },
    reduce: undefined,
    reducers: [],
    workflow: output === undefined ? {} : { output },
  };
}
