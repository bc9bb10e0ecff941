/** Why tasks do not run: asks the broker for what `why` decides from. */
import { SURVEYED_PER_STATE } from "../api/operations/why.ts";
import type { Broker, ExecutionView, TaskFacts, TaskView } from "../broker/contract.ts";
import { MAX_PAGE } from "../broker/limits.ts";
import type { TaskState } from "../core/states.ts";
import { type Why, why, type WorkerLook } from "../core/why.ts";
import { HoldfastError } from "../errors/index.ts";
import type { Clock } from "../util/clock.ts";
import { liveSessions } from "./workers/live-sessions.ts";

/** Live workers that are looked at. */
const MOST_WORKERS = 10_000;
/** Tasks of a survey that are asked about at the same time. */
const AT_ONCE = 8;
/** Task numbers told per reason. */
const EXAMPLES = 10;
/** States of tasks that a survey looks at. */
const SURVEYED = ["queued", "scheduled", "blocked", "failed"] as const satisfies readonly TaskState[];

export interface ExplainParts {
  readonly broker: Broker;
  readonly clock: Clock;
  /** Items of a pool that ended per second lately, where that is known. */
  readonly rate: (pool: string) => number | undefined;
}

export interface Explained {
  readonly executionId: string;
  readonly task: number;
  readonly name: string;
  readonly why: Why;
}

export interface Survey {
  readonly executionId: string;
  readonly state: ExecutionView["state"];
  readonly looked: number;
  readonly more: boolean;
  readonly reasons: SurveyedReason[];
}

export interface SurveyedReason {
  readonly tasks: number;
  readonly examples: number[];
  readonly why: Why;
}

/** Errors: EXECUTION_NOT_FOUND, TASK_UNKNOWN. */
export async function explainTask(parts: ExplainParts, executionId: string, task: number): Promise<Explained> {
  const [facts, sessions] = await Promise.all([
    parts.broker.explainTask({ executionId, task }),
    workersOf(parts.broker),
  ]);
  return { executionId, task, name: facts.task.name, why: decide(parts, facts, sessions) };
}

/** Why the task with these facts does not run. */
export async function whyOf(parts: ExplainParts, facts: TaskFacts): Promise<Why> {
  return decide(parts, facts, await workersOf(parts.broker));
}

/** Looks at some tasks of every state that is not done, and groups them by reason. Errors: EXECUTION_NOT_FOUND. */
export async function surveyExecution(parts: ExplainParts, executionId: string): Promise<Survey> {
  const { broker } = parts;
  const [execution, sessions, pages] = await Promise.all([
    broker.getExecution({ executionId }),
    workersOf(broker),
    Promise.all([
      ...SURVEYED.map((state) => firstTasks(broker, executionId, state)),
      waitingArrays(broker, executionId),
    ]),
  ]);
  const tasks = pages.flat();
  const reasons = new Map<string, SurveyedReason>();
  let looked = 0;
  for (let at = 0; at < tasks.length; at += AT_ONCE) {
    const some = await Promise.all(tasks.slice(at, at + AT_ONCE).map((task) => factsOf(broker, task)));
    for (const facts of some) {
      if (facts === undefined) continue;
      looked += 1;
      note(reasons, facts.task.task, decide(parts, facts, sessions));
    }
  }
  return {
    executionId,
    state: execution.state,
    looked,
    more: pages.some((page) => page.length === SURVEYED_PER_STATE),
    reasons: [...reasons.values()].toSorted((one, other) => other.tasks - one.tasks),
  };
}

async function firstTasks(broker: Broker, executionId: string, state: TaskState): Promise<readonly TaskView[]> {
  return (await broker.listTasks({ executionId, states: [state], limit: SURVEYED_PER_STATE })).tasks;
}

/** An array that runs may have a part that waits; it may stand behind many separate tasks that run. */
async function waitingArrays(broker: Broker, executionId: string): Promise<readonly TaskView[]> {
  const { tasks } = await broker.listTasks({ executionId, states: ["running"], limit: MAX_PAGE });
  const waiting = tasks.filter(({ items }) => items !== undefined && items.queued + items.scheduled > 0);
  return waiting.slice(0, SURVEYED_PER_STATE);
}

/** Undefined when the task has gone with its execution meanwhile. */
async function factsOf(broker: Broker, { executionId, task }: TaskView): Promise<TaskFacts | undefined> {
  try {
    return await broker.explainTask({ executionId, task });
  } catch (thrown) {
    if (HoldfastError.is(thrown, "EXECUTION_NOT_FOUND") || HoldfastError.is(thrown, "TASK_UNKNOWN")) return undefined;
    throw thrown;
  }
}

function note(reasons: Map<string, SurveyedReason>, task: number, found: Why): void {
  const key = keyOf(found);
  const known = reasons.get(key);
  const examples = known?.examples ?? [];
  if (examples.length < EXAMPLES) examples.push(task);
  reasons.set(key, { tasks: (known?.tasks ?? 0) + 1, examples, why: known?.why ?? found });
}

/** Same key, same reason: what only differs from task to task (parents, times, places in line) does not count. */
function keyOf(found: Why): string {
  const pool = "pool" in found ? found.pool : "";
  const missing = found.code === "no-capable-worker" ? found.missing.join(",") : "";
  const failure = found.code === "dead-letter" ? (found.failure?.class ?? "") : "";
  const signal = found.code === "waits-for-signal" ? found.signal : "";
  return [found.code, pool, missing, failure, signal].join("\u0000");
}

function decide({ clock, rate }: ExplainParts, facts: TaskFacts, sessions: readonly WorkerLook[]): Why {
  const known = rate(facts.pool.pool);
  return why({ facts, sessions, now: clock.now(), ...(known === undefined ? {} : { rate: known }) });
}

async function workersOf(broker: Broker): Promise<readonly WorkerLook[]> {
  const found: WorkerLook[] = [];
  for await (const session of liveSessions(broker)) {
    found.push(session);
    if (found.length >= MOST_WORKERS) break;
  }
  return found;
}
