/**
 * Who ran what when, as the broker's events tell it: the only source of timelines, recovery times and
 * checks of order, in the workflow demo and for recorded workflows. Pure; every time is on the broker's clock.
 */
import type { BrokerEvent } from "../broker/contract.ts";
import type { ExecutionState } from "../core/states.ts";

export type StretchEnd = "completed" | "failed" | "lost" | "returned" | "running";

/** One attempt of one task. */
export interface Stretch {
  readonly executionId: string;
  readonly task: number;
  readonly worker: string;
  readonly from: number;
  to: number | undefined;
  end: StretchEnd;
}

/** A session of a worker. */
export interface Presence {
  readonly worker: string;
  readonly from: number;
  to: number | undefined;
  end: "live" | "left" | "lost";
}

/** A time in which a task could have been run and was not. */
export interface Waiting {
  readonly executionId: string;
  readonly task: number;
  readonly from: number;
  to: number | undefined;
}

export class WorkBook {
  readonly stretches: Stretch[] = [];
  readonly presences: Presence[] = [];
  readonly waits: Waiting[] = [];
  /** Executions by state, those of which anything was told. */
  readonly states = new Map<string, ExecutionState>();
  readonly #open = new Map<string, Stretch>();
  readonly #waiting = new Map<string, Waiting>();
  readonly #present = new Map<string, Presence>();
  readonly #history = new Map<string, Stretch[]>();
  #completed = 0;

  get completedTasks(): number {
    return this.#completed;
  }

  /** Attempts that run now. */
  running(): readonly Stretch[] {
    return [...this.#open.values()];
  }

  /** Workers that have a session now. */
  present(): readonly string[] {
    return this.presences.filter(({ end }) => end === "live").map(({ worker }) => worker);
  }

  attemptsOf(executionId: string, task: number): readonly Stretch[] {
    return this.#history.get(keyOf(executionId, task)) ?? [];
  }

  /** Tasks that are ready as an execution begins: no event tells of them. */
  begin(executionId: string, at: number, tasks: readonly number[]): void {
    for (const task of tasks) if (!this.#history.has(keyOf(executionId, task))) this.#wait(executionId, task, at);
  }

  apply({ executionId, at, change }: BrokerEvent): void {
    if (change.kind === "session") this.#applySession(change, at);
    else if (executionId === undefined) return;
    else if (change.kind === "execution") this.states.set(executionId, change.state);
    else {
      for (const entry of change.tasks) {
        if (typeof entry === "number") this.#applyTask({ executionId, task: entry, at, change });
      }
    }
  }

  #applySession({ worker, session, state }: Extract<BrokerEvent["change"], { kind: "session" }>, at: number): void {
    if (state === "opened") {
      const presence: Presence = { worker, from: at, to: undefined, end: "live" };
      this.presences.push(presence);
      this.#present.set(session, presence);
      return;
    }
    const presence = this.#present.get(session);
    if (presence === undefined) return;
    presence.to = at;
    presence.end = state;
  }

  #applyTask(told: {
    readonly executionId: string;
    readonly task: number;
    readonly at: number;
    readonly change: Extract<BrokerEvent["change"], { kind: "tasks" }>;
  }): void {
    const { executionId, task, at, change } = told;
    const key = keyOf(executionId, task);
    if (change.state === "running") {
      this.#endWait(key, at);
      const stretch: Stretch = {
        executionId,
        task,
        worker: change.worker ?? "",
        from: at,
        to: undefined,
        end: "running",
      };
      this.stretches.push(stretch);
      this.#open.set(key, stretch);
      const history = this.#history.get(key);
      if (history === undefined) this.#history.set(key, [stretch]);
      else history.push(stretch);
      return;
    }
    const stretch = this.#open.get(key);
    if (stretch !== undefined) {
      this.#open.delete(key);
      stretch.to = at;
      stretch.end = endOf(change.state, change.reason);
    }
    if (change.state === "completed") this.#completed += 1;
    if (change.state === "queued") this.#wait(executionId, task, at);
  }

  #wait(executionId: string, task: number, from: number): void {
    const waiting: Waiting = { executionId, task, from, to: undefined };
    this.waits.push(waiting);
    this.#waiting.set(keyOf(executionId, task), waiting);
  }

  #endWait(key: string, at: number): void {
    const waiting = this.#waiting.get(key);
    if (waiting === undefined) return;
    waiting.to = at;
    this.#waiting.delete(key);
  }
}

function keyOf(executionId: string, task: number): string {
  return `${executionId}/${task}`;
}

function endOf(state: string, reason: string | undefined): StretchEnd {
  if (state === "completed" || state === "failed") return state;
  return reason === "lost" ? "lost" : "returned";
}
