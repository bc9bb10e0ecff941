/** Events that a test tells, one by one, as a broker would hand them out; and what was asked for. */
import type {
  BrokerEvent,
  EventChange,
  ExecutionView,
  ReadEventsParams,
  ReadEventsReply,
} from "../../src/broker/contract.ts";
import { FROM_NOW } from "../../src/broker/contract.ts";
import type { ExecutionState } from "../../src/core/states.ts";
import { HoldfastError } from "../../src/errors/index.ts";
import type { EventSource } from "../../src/server/events/topic.ts";
import type { Clock } from "../../src/util/clock.ts";

export class EventLog implements EventSource {
  readonly #clock: Clock;
  readonly #states = new Map<string, ExecutionState>();
  #events: BrokerEvent[] = [];
  #waiting = new Set<() => void>();
  #cursor = 0;
  /** Thrown by every call while it is there. */
  broken: HoldfastError | undefined;
  /** Reads so far, and those that wait for news now. */
  reads = 0;
  /** How often an event was printed. */
  printed = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get waits(): number {
    return this.#waiting.size;
  }

  get cursor(): number {
    return this.#cursor;
  }

  /** Something happens. */
  tell(executionId: string, change: EventChange): BrokerEvent {
    // Cursors are not dense.
    this.#cursor += 1 + (this.#cursor % 3);
    const fields = { cursor: this.#cursor, at: this.#clock.now(), executionId, change };
    const event = Object.defineProperty({ ...fields }, "toJSON", {
      enumerable: false,
      value: () => {
        this.printed += 1;
        return fields;
      },
    });
    this.#events.push(event);
    if (change.kind === "execution") this.#states.set(executionId, change.state);
    else if (!this.#states.has(executionId)) this.#states.set(executionId, "running");
    for (const wake of this.#waiting) wake();
    return event;
  }

  tellTask(executionId: string, task: number): BrokerEvent {
    return this.tell(executionId, { kind: "tasks", state: "running", tasks: [task] });
  }

  end(executionId: string, state: ExecutionState = "completed"): BrokerEvent {
    return this.tell(executionId, { kind: "execution", state });
  }

  /** An execution is deleted with its events. */
  purge(executionId: string): void {
    this.#states.delete(executionId);
    this.#events = this.#events.filter((event) => event.executionId !== executionId);
    for (const wake of this.#waiting) wake();
  }

  all(executionId?: string): readonly BrokerEvent[] {
    return this.#events.filter((event) => executionId === undefined || event.executionId === executionId);
  }

  async readEvents({ executionId, cursor, limit, waitMs = 0 }: ReadEventsParams): Promise<ReadEventsReply> {
    this.reads += 1;
    await Promise.resolve();
    if (cursor === FROM_NOW) {
      this.#check(executionId);
      return { events: [], cursor: this.#cursor };
    }
    let page = this.#page(executionId, cursor, limit);
    if (page.events.length === 0 && waitMs > 0) {
      await this.#news(waitMs);
      page = this.#page(executionId, cursor, limit);
    }
    return page;
  }

  async getExecution({ executionId }: { readonly executionId: string }): Promise<ExecutionView> {
    await Promise.resolve();
    this.#check(executionId);
    return { executionId, state: this.#states.get(executionId) } as unknown as ExecutionView;
  }

  #page(executionId: string | undefined, cursor: number, limit: number): ReadEventsReply {
    this.#check(executionId);
    const events = this.all(executionId)
      .filter((event) => event.cursor > cursor)
      .slice(0, limit);
    return { events, cursor: events.at(-1)?.cursor ?? cursor };
  }

  #check(executionId: string | undefined): void {
    if (this.broken !== undefined) throw this.broken;
    if (executionId !== undefined && !this.#states.has(executionId))
      throw new HoldfastError("EXECUTION_NOT_FOUND", { execution: executionId });
  }

  #news(waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        cancel();
        this.#waiting.delete(done);
        resolve();
      };
      const cancel = this.#clock.schedule(waitMs, done);
      this.#waiting.add(done);
    });
  }
}
