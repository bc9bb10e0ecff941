/** Obstacles as sentences for people. Every code has one sentence, and one about what would start the task. */
import type { Obstacle, Parent, Reason, TaskLook } from "./obstacle.ts";

/** Names given in one sentence; the rest is counted. */
const NAMES_TOLD = 5;
const MESSAGE_TOLD = 200;

export interface Words {
  readonly task: TaskLook;
  readonly now: number;
}

export function inWords(obstacle: Obstacle, words: Words): Reason {
  return { ...obstacle, sentence: sentenceOf(obstacle, words), startsWhen: startOf(obstacle, words) };
}

function sentenceOf(obstacle: Obstacle, { task, now }: Words): string {
  const it = `Task ${task.task} (${task.label ?? task.name})`;
  switch (obstacle.code) {
    case "ended":
      if (task.removed === true) return `${it} was removed from its execution.`;
      if (obstacle.state === "skipped" && obstacle.parents.length === 0)
        return `${it} was skipped: ${ownReason(task)}.`;
      return `${it} ${ENDED[obstacle.state]}${obstacle.parents.length === 0 ? "" : `: ${parentsTold(obstacle.parents, 0)}`}.`;
    case "dead-letter":
      return `${deadOnes(it, obstacle.items)} after ${triesOf(obstacle)}${colon(obstacle.failure?.message)}.`;
    case "running":
      return runningSentence(it, obstacle, now);
    case "execution-paused":
      return `Execution ${task.executionId} is paused${pausedBy(obstacle, now)}.`;
    case "pool-paused":
      return `Pool ${obstacle.pool} is paused${pausedBy(obstacle, now)}.`;
    case "waits-for-parents":
      return `${it} waits for ${parentsTold(obstacle.parents, obstacle.more)}.`;
    case "held":
      return `${it} is held.`;
    case "sleeping":
      return `${it} sleeps until ${moment(obstacle.until)}${inSpan(obstacle.until - now)}.`;
    case "waits-for-signal": {
      const { signal, until } = obstacle;
      const limit = until === undefined ? "" : `, until ${moment(until)}${inSpan(until - now)} at most`;
      return `${it} waits for signal ${signal}${limit}.`;
    }
    case "waits-for-added":
      return `${it} waits for tasks that it has added${obstacle.parents.length === 0 ? "" : `: ${parentsTold(obstacle.parents, obstacle.more)}`}.`;
    case "waits-for-failure":
      return `${it} is there for when something of execution ${task.executionId} has failed.`;
    case "delayed":
      return `${it} is not to start before ${moment(obstacle.until)}${inSpan(obstacle.until - now)}.`;
    case "backing-off":
      return `${it} is tried again at ${moment(obstacle.until)}${inSpan(obstacle.until - now)}${afterFailure(obstacle)}.`;
    case "no-worker":
      return `There is no live worker in pool ${obstacle.pool}${otherPools(obstacle.otherPools)}.`;
    case "no-capable-worker":
      return `No live worker in pool ${obstacle.pool} has ${joined(obstacle.missing)} (${lackers(obstacle)}).`;
    case "pool-full":
      return `Pool ${obstacle.pool} has ${obstacle.max === 0 ? "a maximum of no workers" : `its maximum of ${counted(obstacle.max, "worker")}`}; ${names(obstacle.workers, obstacle.workerCount)}, which could run it, ${obstacle.workerCount === 1 ? "stands" : "stand"} by.`;
    case "workers-draining":
      return `${counted(obstacle.workerCount, "worker")} in pool ${obstacle.pool} that could run it ${obstacle.workerCount === 1 ? "is" : "are"} draining (${names(obstacle.workers, obstacle.workerCount)}).`;
    case "slots-busy":
      return `${allSlots(obstacle)}; ${lineTold(obstacle)}.`;
    case "in-line":
      return `${counted(obstacle.slots - obstacle.busy, "slot")} of pool ${obstacle.pool} ${obstacle.slots - obstacle.busy === 1 ? "is" : "are"} free; ${lineTold(obstacle)}.`;
    case "next-in-line":
      return `${it} is next in line, and ${counted(obstacle.freeSlots, "slot")} of pool ${obstacle.pool} ${obstacle.freeSlots === 1 ? "is" : "are"} free.`;
  }
}

function startOf(obstacle: Obstacle, { task }: Words): string {
  switch (obstacle.code) {
    case "ended":
      if (task.removed === true) return "It does not start any more; what is wanted after all must be added anew.";
      if (obstacle.state === "skipped" && obstacle.parents.length === 0)
        return "It does not start any more; submit it again, or rerun it.";
      return obstacle.state === "completed"
        ? "It has its result; it runs again only if it is rerun."
        : "It does not start any more; submit it again, or rerun what it waited for.";
    case "dead-letter":
      return `Replay it with \`holdfast dead-letters replay ${task.executionId}~${task.task}\`.`;
    case "running":
      return obstacle.items !== undefined && obstacle.items.waiting > 0
        ? "It runs already; the rest starts as slots become free."
        : "It runs already.";
    case "execution-paused":
      return `Resume the execution with \`holdfast resume ${task.executionId}\`.`;
    case "pool-paused":
      return `Resume the pool with \`holdfast pools resume ${shellWord(obstacle.pool)}\`, or all pools, if all are paused, with \`holdfast pools resume --all\`.`;
    case "waits-for-parents":
      return `It starts when ${obstacle.parents.length + obstacle.more === 1 ? "that task has" : "those tasks have"} completed.`;
    case "held":
      return `Let it go with \`holdfast edit ${task.executionId} --unhold ${task.task} --apply\`.`;
    case "waits-for-signal": {
      const to = `${task.executionId} ${shellWord(obstacle.signal)}`;
      return `Give it the signal with \`holdfast signal ${to}\`, or, if it asks for an approval, with \`holdfast approve ${to}\`.`;
    }
    case "waits-for-added":
      return "It goes on when those tasks have ended.";
    case "waits-for-failure":
      return "It starts when nothing else of the execution is left and something has failed; otherwise it is skipped.";
    case "sleeping":
      return "It goes on by itself at that time.";
    case "delayed":
    case "backing-off":
      return "It starts by itself at that time.";
    case "no-worker":
      return `Start a worker with \`${workerCommand(obstacle.pool)}\`.`;
    case "pool-full":
      return `It starts when another worker of the pool leaves, or with a higher maximum: \`holdfast pools limit ${shellWord(obstacle.pool)} --max ${obstacle.max + 1}\`.`;
    case "no-capable-worker":
    case "workers-draining":
      return `Start a worker with \`${workerCommand(obstacle.pool, obstacle.requires)}\`.`;
    case "slots-busy":
    case "in-line":
      return `It starts when its turn comes; one more worker (\`${workerCommand(obstacle.pool)}\`) makes it sooner.`;
    case "next-in-line":
      return "It starts by itself with the next claim of a worker.";
  }
}

const ENDED = {
  completed: "has completed",
  cancelled: "was cancelled",
  skipped: "was skipped, because a task that it needed did not complete",
} as const;

/** Why it was skipped that needed nothing that did not complete. */
function ownReason({ attempts = 0 }: TaskLook): string {
  return attempts > 0
    ? "its own condition did not hold, what it had added did not complete, or in a sub-workflow a node before it was skipped"
    : "it was there for when something had failed, and nothing had";
}

function deadOnes(it: string, items: number | undefined): string {
  if (items === undefined) return `${it} is a dead letter`;
  return `${counted(items, "item")} of ${it.replace("Task", "task")} ${items === 1 ? "is a dead letter" : "are dead letters"}`;
}

function triesOf({ failures, losses, items }: Extract<Obstacle, { code: "dead-letter" }>): string {
  if (items !== undefined) return "their last failure";
  const parts = [
    ...(failures > 0 ? [counted(failures, "failure")] : []),
    ...(losses > 0 ? [`${losses} lost ${losses === 1 ? "worker" : "workers"}`] : []),
  ];
  return parts.length === 0 ? "its last failure" : parts.join(" and ");
}

function runningSentence(it: string, obstacle: Extract<Obstacle, { code: "running" }>, now: number): string {
  const { items, worker, since } = obstacle;
  if (items !== undefined)
    return `${counted(items.running, "item")} of ${it.replace("Task", "task")} ${items.running === 1 ? "runs" : "run"}, ${items.waiting} wait.`;
  const where = worker === undefined ? "" : ` on worker ${worker}`;
  return `${it} runs${where}${since === undefined ? "" : ` since ${moment(since)} (${spell(now - since)})`}.`;
}

function pausedBy(pause: { readonly by?: string; readonly since?: number }, now: number): string {
  const by = pause.by === undefined ? "" : ` by ${pause.by}`;
  return pause.since === undefined ? by : `${by} since ${moment(pause.since)} (${spell(now - pause.since)})`;
}

function parentsTold(parents: readonly Parent[], more: number): string {
  const told = parents
    .slice(0, NAMES_TOLD)
    .map(({ task, name, label = name, state }) => `task ${task} (${label}, ${state})`);
  const rest = more + parents.length - told.length;
  return joined([...told, ...(rest > 0 ? [`${rest} more`] : [])]);
}

function afterFailure({ failures, limit, failure }: Extract<Obstacle, { code: "backing-off" }>): string {
  if (failures === 0) return `${failure === undefined ? "" : " after a failure"}${colon(failure?.message)}`;
  const of = limit === undefined ? "" : ` of at most ${limit}`;
  return `, after failure ${failures}${of}${colon(failure?.message)}`;
}

function otherPools(pools: readonly string[]): string {
  return pools.length === 0 ? ", nor in any other" : `; those that live serve ${joined(few(pools))}`;
}

function lackers(obstacle: Extract<Obstacle, { code: "no-capable-worker" }>): string {
  const { workerCount, workers, missing } = obstacle;
  const lack = `${workerCount === 1 ? "lacks" : "lack"} ${missing.length > 1 ? "some of it" : "it"}`;
  return `${counted(workerCount, "worker")} ${lack}: ${names(workers, workerCount)}`;
}

function allSlots({ slots, pool }: Extract<Obstacle, { code: "slots-busy" | "in-line" }>): string {
  return slots === 1
    ? `The only slot of pool ${pool} that could run it is busy`
    : `All ${slots} slots of pool ${pool} that could run it are busy`;
}

function lineTold({ ahead, estimateMs }: Extract<Obstacle, { code: "slots-busy" | "in-line" }>): string {
  const line =
    ahead === 0 ? "it is next in line" : `${counted(ahead, "item")} ${ahead === 1 ? "is" : "are"} ahead of it`;
  return `${line}, ${estimateMs === undefined ? "no estimate yet" : `about ${spell(estimateMs)}`}`;
}

function workerCommand(pool: string, requires: readonly string[] = []): string {
  const capabilities = requires.length === 0 ? "" : ` --capabilities ${shellWord(requires.join(","))}`;
  return `holdfast worker --pools ${shellWord(pool)}${capabilities}`;
}

/** As one word of a command line, whatever stands in it. */
function shellWord(text: string): string {
  return /^[\w.,:@%+/-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

function names(some: readonly string[], count: number): string {
  const told = some.slice(0, NAMES_TOLD);
  return `${told.join(", ")}${count > told.length ? ` and ${count - told.length} more` : ""}`;
}

function few(texts: readonly string[]): readonly string[] {
  return texts.length <= NAMES_TOLD ? texts : [...texts.slice(0, NAMES_TOLD), `${texts.length - NAMES_TOLD} more`];
}

function joined(parts: readonly string[]): string {
  return parts.length < 2 ? parts.join("") : `${parts.slice(0, -1).join(", ")} and ${parts.at(-1)}`;
}

function counted(count: number, noun: string): string {
  return `${count.toLocaleString("en-US")} ${noun}${count === 1 ? "" : "s"}`;
}

function colon(message: string | undefined): string {
  if (message === undefined) return "";
  const line = message.replaceAll(/\s+/g, " ").trim().replace(/\.$/, "");
  return `: ${line.length > MESSAGE_TOLD ? `${line.slice(0, MESSAGE_TOLD)}…` : line}`;
}

/** `2026-01-01 12:00:05 UTC`. */
function moment(at: number): string {
  return `${new Date(at).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

function inSpan(ms: number): string {
  return ms > 0 ? ` (in ${spell(ms)})` : "";
}

/** `5 s`, `3 min`, `2 h`: one unit, as exact as a guess is. */
function spell(ms: number): string {
  const seconds = Math.max(1, Math.round(ms / 1_000));
  if (seconds < 100) return `${seconds} s`;
  if (seconds < 6_000) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3_600)} h`;
  return `${Math.round(seconds / 86_400)} days`;
}
