/**
 * Measures what the nodes of workflows take: when one has completed, the durations of its tasks go into
 * the means that later runs of the same name are planned by (core/durations.ts).
 *
 * It follows the events, and gives up following where too many come: estimates are no worth holding
 * anybody up for. So a run costs one page of events, some looks at executions that have ended, and per
 * name a look at one execution's tasks every few seconds, however many end. What it remembers only
 * saves work: a new leader begins with the workflows that were there last, and when the last execution
 * that went in had ended is kept beside the means, so that none goes in twice.
 */
import type { Broker, BrokerEvent, ExecutionView } from "../broker/contract.ts";
import { FROM_NOW } from "../broker/contract.ts";
import {
  durationsKey,
  durationsText,
  foldDurations,
  MAX_MEASURED_LABELS,
  measuredLabel,
  NOTHING_MEASURED,
  parseDurations,
} from "../core/durations.ts";
import { HoldfastError } from "../errors/index.ts";
import type { Clock } from "../util/clock.ts";
import type { Duty, DutyReport } from "./duty.ts";

const INTERVAL_MS = 1_000;
const EVENTS_PER_RUN = 1_000;
/** Executions looked at per run, the newest: most of what ends may be sweeps. */
const EXECUTIONS_PER_RUN = 50;
/** Of one name, one execution goes in per this time. */
const PAUSE_PER_NAME_MS = 2_000;
/** A page has the tasks' results, which may be large. */
const TASKS_PER_PAGE = 200;
const MAX_RESULT_LENGTH = 16_777_216;
/** A workflow that nobody runs for so long starts from its estimates again: 90 days. */
const KEPT_MS = 7_776_000_000;

export function workflowDurations(clock: Clock): Duty {
  const duty = new WorkflowDurations(clock);
  return {
    name: "durations",
    intervalMs: INTERVAL_MS,
    counts: "workflows measured",
    // A process that runs one workflow ends with it.
    runsAtEnd: true,
    runOnce: (broker) => duty.runOnce(broker),
  };
}

class WorkflowDurations {
  readonly #clock: Clock;
  #cursor = FROM_NOW;
  #hasBegun = false;
  /** When a name was last looked at; only those that are not due again. */
  readonly #lookedAt = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async runOnce(broker: Broker): Promise<DutyReport> {
    const ended = this.#hasBegun ? await this.#endedSince(broker) : await this.#begin(broker);
    const now = this.#clock.now();
    for (const [name, at] of this.#lookedAt) if (now - at >= PAUSE_PER_NAME_MS) this.#lookedAt.delete(name);
    const newest = new Map<string, ExecutionView>();
    for (const view of ended) {
      if (view.kind !== "workflow" || view.state !== "completed" || this.#lookedAt.has(view.name)) continue;
      if ((view.endedAt ?? 0) >= (newest.get(view.name)?.endedAt ?? 0)) newest.set(view.name, view);
    }
    let handled = 0;
    for (const view of newest.values()) {
      this.#lookedAt.set(view.name, now);
      if (await measure(broker, view)) handled += 1;
    }
    return { handled, more: false };
  }

  async #begin(broker: Broker): Promise<readonly ExecutionView[]> {
    this.#cursor = (await broker.readEvents({ cursor: FROM_NOW, limit: 1 })).cursor;
    const { executions } = await broker.listExecutions({
      states: ["completed"],
      kinds: ["workflow"],
      order: "newest",
      limit: EXECUTIONS_PER_RUN,
    });
    this.#hasBegun = true;
    return executions;
  }

  async #endedSince(broker: Broker): Promise<readonly ExecutionView[]> {
    const { events, cursor } = await broker.readEvents({ cursor: this.#cursor, limit: EVENTS_PER_RUN });
    // Whoever is a full page behind may be many.
    this.#cursor = events.length < EVENTS_PER_RUN ? cursor : FROM_NOW;
    const ids = new Set(events.flatMap(completedExecution));
    const views = await Promise.all(
      [...ids].slice(-EXECUTIONS_PER_RUN).map((executionId) => look(broker, executionId)),
    );
    return views.filter((view) => view !== undefined);
  }
}

function completedExecution({ executionId, change }: BrokerEvent): readonly string[] {
  return change.kind === "execution" && change.state === "completed" && executionId !== undefined ? [executionId] : [];
}

/** Undefined when it has been deleted meanwhile. */
async function look(broker: Broker, executionId: string): Promise<ExecutionView | undefined> {
  try {
    return await broker.getExecution({ executionId });
  } catch (thrown) {
    if (HoldfastError.is(thrown, "EXECUTION_NOT_FOUND")) return undefined;
    throw thrown;
  }
}

async function measure(broker: Broker, { executionId, name, endedAt = 0 }: ExecutionView): Promise<boolean> {
  const key = durationsKey(name);
  const { value } = await broker.readValue({ key });
  const before = value === undefined ? NOTHING_MEASURED : parseDurations(value.value);
  if (endedAt <= before.endedAt) return false;
  const samples = await samplesOf(broker, executionId);
  // Where all are alike there is nothing to choose by.
  if (new Set(samples.map(([label]) => measuredLabel(label))).size < 2) return false;
  const text = durationsText(foldDurations(before, samples, endedAt));
  try {
    await broker.writeValue({ key, value: text, ttlMs: KEPT_MS, ifVersion: value?.version ?? 0 });
    return true;
  } catch (thrown) {
    // Another coordinator was faster.
    if (HoldfastError.is(thrown, "VERSION_CONFLICT")) return false;
    throw thrown;
  }
}

/** Of tasks that were whole in one attempt: what one that had suspended itself took is not in its duration. */
async function samplesOf(broker: Broker, executionId: string): Promise<readonly (readonly [string, number])[]> {
  const samples: (readonly [string, number])[] = [];
  let length = 0;
  for (let after = -1; samples.length < MAX_MEASURED_LABELS && length < MAX_RESULT_LENGTH;) {
    const { tasks } = await broker.listTasks({ executionId, states: ["completed"], limit: TASKS_PER_PAGE, after });
    for (const { label, durationMs, attempts, failures, losses, result } of tasks) {
      length += result?.length ?? 0;
      if (label !== undefined && durationMs !== undefined && attempts === failures + losses + 1)
        samples.push([label, durationMs]);
    }
    const last = tasks.at(-1);
    if (last === undefined || tasks.length < TASKS_PER_PAGE) break;
    after = last.task;
  }
  return samples;
}
