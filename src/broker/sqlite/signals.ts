/**
 * Transition signal: an execution is given a named value, and tasks that wait for it go on.
 *
 * Invariant: of each name the first payload stays; whoever waits for it from then on has it at once.
 */
import { HoldfastError } from "../../errors/index.ts";
import type { SignalParams, SignalReply } from "../contract.ts";
import { MAX_SIGNALS } from "../limits.ts";
import { arrive } from "./dependents.ts";
import type { Engine } from "./engine.ts";
import { offerTask } from "./lanes.ts";
import { BLOCKED, type ExecutionRecord, groupOf, QUEUED, SCHEDULED, taskId } from "./model.ts";
import { AWAKE } from "./wake.ts";

/** Errors: EXECUTION_NOT_FOUND, EXECUTION_ENDED, BATCH_TOO_LARGE. What was taken before is known after the end too. */
export function giveSignal(engine: Engine, params: SignalParams): SignalReply {
  const { executionId, signal, payload } = params;
  const no = engine.db.get("SELECT no FROM executions WHERE id = ?", executionId)?.["no"];
  const known = typeof no === "number" ? signalOf(engine, no, signal) : undefined;
  if (known === payload) return { accepted: true, released: 0 };
  const execution = engine.liveExecution(executionId);
  if (known !== undefined) return { accepted: false, released: 0 };
  store(engine, execution, params);
  const waiting = engine.db.all(
    `SELECT id, state, not_before FROM tasks
     WHERE awaits = ? AND id >= ? AND id < ? AND state IN (${BLOCKED}, ${SCHEDULED}) ORDER BY id`,
    signal,
    taskId(execution, 0),
    taskId(execution, execution.nextTask),
  );
  let released = 0;
  for (const row of waiting) {
    const task = Number(row["id"]) - taskId(execution, 0);
    const how = { task, payload, state: Number(row["state"]), hasTimeout: row["not_before"] !== null };
    if (wakeUp(engine, execution, how)) released += 1;
  }
  return { accepted: true, released };
}

/** Payload of a signal that was given. */
export function signalOf({ db }: Engine, execution: number, name: string): string | undefined {
  const row = db.get("SELECT payload FROM signals WHERE execution = ? AND name = ?", execution, name);
  return row === undefined ? undefined : String(row["payload"]);
}

function store({ db }: Engine, execution: ExecutionRecord, { signal, payload }: SignalParams): void {
  execution.signals ??= Number(
    db.get("SELECT count(*) AS n FROM signals WHERE execution = ?", execution.no)?.["n"] ?? 0,
  );
  const count = execution.signals + 1;
  if (count > MAX_SIGNALS)
    throw new HoldfastError("BATCH_TOO_LARGE", { what: "signals of the execution", count, limit: MAX_SIGNALS });
  db.run("INSERT INTO signals (execution, name, payload) VALUES (?, ?, ?)", execution.no, signal, payload);
  execution.signals = count;
}

interface Waiting {
  readonly task: number;
  readonly payload: string;
  readonly state: number;
  readonly hasTimeout: boolean;
}

/** Whether it goes on: with a timeout and blocked it is held, and goes on when it is let go. */
function wakeUp(engine: Engine, execution: ExecutionRecord, { task, payload, state, hasTimeout }: Waiting): boolean {
  const group = groupOf(execution, task);
  if (group === undefined) return false;
  const isScheduled = state === SCHEDULED;
  engine.db.run(
    `UPDATE tasks SET awaits = NULL, not_before = NULL, wake = json_set(${AWAKE}, '$.payload', ?),
       state = iif(?, ${QUEUED}, state) WHERE id = ?`,
    payload,
    isScheduled ? 1 : 0,
    taskId(execution, task),
  );
  if (isScheduled) {
    engine.move(group, { from: "scheduled", to: "queued" });
    engine.journal.tasks(execution, { state: "queued", entry: task, reason: "signal" });
    offerTask(group, task, engine.now);
    return true;
  }
  return !hasTimeout && arrive(engine, execution, { task, reason: "signal" });
}
