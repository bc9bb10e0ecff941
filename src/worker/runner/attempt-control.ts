import type { TaskContext } from "../../sdk/task.ts";

/** What stops an attempt from outside, and what its user code sees of that. */
export class AttemptControl {
  /** The whole attempt is to end as soon as it can. */
  isStopped = false;
  #controller: AbortController | undefined;
  #abortedWith: Error | undefined;

  /** Made when user code first asks for it: most never does. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#abortedWith !== undefined && !this.#controller.signal.aborted) this.#controller.abort(this.#abortedWith);
    return this.#controller.signal;
  }

  abort(reason: Error): void {
    this.#abortedWith ??= reason;
    this.#controller?.abort(this.#abortedWith);
  }

  get isAborted(): boolean {
    return this.#abortedWith !== undefined;
  }

  /** The next item of a chunk gets a signal of its own, if the last one's was used up. */
  renew(): void {
    this.#abortedWith = undefined;
    this.#controller = undefined;
  }
}

/** What an attempt's context is made of. */
export interface AttemptFacts extends Omit<TaskContext, "signal"> {
  /** Results of the tasks it comes after, as JSON texts by task number. */
  readonly parents: Readonly<Record<number, string>> | undefined;
}

/** The `ctx` of a task. */
export class AttemptContext implements TaskContext {
  readonly executionId: string;
  readonly index: number;
  readonly attempt: number;
  readonly worker: string;
  readonly #parents: AttemptFacts["parents"];
  readonly #control: AttemptControl;

  constructor(facts: AttemptFacts, control: AttemptControl) {
    this.executionId = facts.executionId;
    this.index = facts.index;
    this.attempt = facts.attempt;
    this.worker = facts.worker;
    this.#parents = facts.parents;
    this.#control = control;
  }

  /** Results of the tasks it comes after, by task number. */
  get parents(): Readonly<Record<number, unknown>> {
    const results = Object.entries(this.#parents ?? {}).map(([task, text]) => [task, JSON.parse(text) as unknown]);
    return Object.fromEntries(results) as Record<number, unknown>;
  }

  get signal(): AbortSignal {
    return this.#control.signal;
  }
}
