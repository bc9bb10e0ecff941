/** Why a task does not run: all that decides it, told with its task. Reads change nothing. */
import { isExecutionEnded, isTaskEnded } from "../../core/states.ts";
import { HoldfastError } from "../../errors/index.ts";
import type { TaskFacts, TaskView } from "../contract.ts";
import { MAX_PARENTS_TOLD } from "../limits.ts";
import type { Row } from "./database.ts";
import { parentsIn } from "./dependents.ts";
import type { Engine } from "./engine.ts";
import { COMPLETED, type ExecutionRecord, groupOf, type GroupRecord, QUEUED, TASK_ID_SPAN, taskId } from "./model.ts";
import { executionRow, executionView, groupSpec, listTasks, optional } from "./views.ts";
import { addedBy, wakeIn } from "./wake.ts";
import { poolNamed } from "./worker-views.ts";

/** Tasks of its own group that are counted one by one; beyond, `ahead` is that much at least. */
const MOST_COUNTED = 10_000;

interface Place {
  readonly executionId: string;
  readonly task: number;
}

export function explainTask(engine: Engine, { executionId, task: number }: Place): TaskFacts {
  const row = executionRow(engine, executionId);
  const task = viewOf(engine, { executionId, task: number });
  const group = groupRow(engine, Number(row["no"]), number);
  if (task === undefined || group === undefined)
    throw new HoldfastError("TASK_UNKNOWN", { execution: executionId, task: number });
  const { name, state, priority, paused } = executionView(row);
  const { requires, retry, when } = groupSpec(group);
  // What starts when the rest has failed waits for no task by name.
  const waitsFor = when === "failed" ? [] : openParents(engine, Number(row["no"]), task);
  const notBefore = isExecutionEnded(state) ? undefined : startOf(engine, { task, group, no: Number(row["no"]) });
  const runningSince = claimedAt(engine, Number(row["no"]), task);
  return {
    task,
    execution: { executionId, name, state, priority, ...(paused === undefined ? {} : { paused }) },
    requires,
    pool: poolNamed(engine, task.pool),
    waitsFor: waitsFor.slice(0, MAX_PARENTS_TOLD).flatMap((parent) => {
      const view = viewOf(engine, { executionId, task: parent });
      return view === undefined
        ? []
        : [{ task: parent, name: view.name, state: view.state, ...optional("label", view.label) }];
    }),
    waitsForCount: waitsFor.length,
    ahead: aheadOf(engine, task),
    ...(notBefore === undefined ? {} : { notBefore }),
    ...(runningSince === undefined ? {} : { runningSince }),
    retryLimit: retry.limit,
  };
}

/** When the attempt of a separate task that runs was granted. */
function claimedAt({ db }: Engine, no: number, { task, state, items }: TaskView): number | undefined {
  if (state !== "running" || items !== undefined) return undefined;
  const at = db.get("SELECT at FROM tasks WHERE id = ?", no * TASK_ID_SPAN + task)?.["at"];
  return typeof at === "number" ? at : undefined;
}

function viewOf(engine: Engine, { executionId, task }: Place): TaskView | undefined {
  const [view] = listTasks(engine, { executionId, limit: 1, after: task - 1 });
  return view?.task === task ? view : undefined;
}

function groupRow(engine: Engine, no: number, task: number): Row | undefined {
  return engine.db.get("SELECT * FROM groups WHERE execution = ? AND first <= ? ORDER BY no DESC LIMIT 1", no, task);
}

/** Parents that have not completed, nor let it go without, in order; those that it has added as long as it waits for them. */
function openParents({ db }: Engine, no: number, { task, suspended }: TaskView): number[] {
  const base = no * TASK_ID_SPAN;
  const row = db.get("SELECT parents, wake FROM tasks WHERE id = ?", base + task);
  const parents = [...parentsIn(row?.["parents"]), ...(suspended === undefined ? [] : addedBy(wakeIn(row?.["wake"])))];
  if (parents.length === 0) return [];
  const completed = new Set<number>();
  const text = JSON.stringify(parents);
  for (const row of db.all(
    "SELECT id FROM tasks WHERE (state = ? OR passes = 1) AND id IN (SELECT value + ? FROM json_each(?))",
    COMPLETED,
    base,
    text,
  ))
    completed.add(Number(row["id"]) - base);
  for (const row of db.all(
    `SELECT first FROM groups WHERE execution = ? AND array IS NOT NULL AND first IN (SELECT value FROM json_each(?))
       AND json_extract(counters, '$.completed') = json_extract(array, '$.length')`,
    no,
    text,
  ))
    completed.add(Number(row["first"]));
  return parents.filter((parent) => !completed.has(parent)).toSorted((one, other) => one - other);
}

interface Waiting {
  readonly no: number;
  readonly task: TaskView;
  readonly group: Row;
}

/** When it may start, if not now: a delayed group, a retry that backs off, an array all of whose items back off. */
function startOf({ db }: Engine, { no, task, group }: Waiting): number | undefined {
  if (isTaskEnded(task.state)) return undefined;
  if (group["not_before"] !== null) return Number(group["not_before"]);
  const { items } = task;
  if (items === undefined) return task.notBefore;
  if (items.scheduled === 0 || items.queued + items.running > 0) return undefined;
  const at = db.get("SELECT min(not_before) AS at FROM chunks WHERE execution = ? AND task = ?", no, task.task)?.["at"];
  return typeof at === "number" ? at : undefined;
}

// ── What comes first ──────────────────────────────────────────────────────────────────────────

/** Nothing, unless it is ready: then what is ready with it decides. */
function aheadOf(engine: Engine, { executionId, task, state, items }: TaskView): number {
  const execution = engine.model.executionsById.get(executionId);
  const group = execution === undefined ? undefined : groupOf(execution, task);
  const isReady = items === undefined ? state === "queued" : items.queued > 0;
  if (execution === undefined || group === undefined || !isReady) return 0;
  const own = aheadInOwn(engine, group, task);
  let ahead = own;
  for (const other of engine.model.executions.values()) {
    if (other === execution || other.state === "paused" || other.priority < execution.priority) continue;
    const queued = queuedIn(other, group);
    // As urgent executions take turns: as much of theirs as of its own comes before it.
    ahead += other.priority > execution.priority ? queued : Math.min(queued, own);
  }
  return ahead;
}

function aheadInOwn(engine: Engine, group: GroupRecord, task: number): number {
  const { execution } = group;
  if (execution.groups.some(({ ranked, pool }) => ranked !== undefined && pool === group.pool))
    return aheadByRank(engine, group, task);
  const before = queuedIn(execution, group, group.no);
  if (group.array !== undefined) return before;
  const row = engine.db.get(
    "SELECT count(*) AS n FROM (SELECT 1 FROM tasks WHERE id >= ? AND id < ? AND state = ? LIMIT ?)",
    taskId(execution, group.first),
    taskId(execution, task),
    QUEUED,
    MOST_COUNTED,
  );
  return before + Number(row?.["n"] ?? 0);
}

/** Those of its pool with a higher rank, and those with the same and a lower number; an array's items have none. */
function aheadByRank({ db }: Engine, { execution, pool, array }: GroupRecord, task: number): number {
  const base = taskId(execution, 0);
  const rank =
    array === undefined ? Number(db.get("SELECT rank FROM tasks WHERE id = ?", base + task)?.["rank"] ?? 0) : 0;
  let ahead = 0;
  for (const other of execution.groups) {
    if (other.pool !== pool || other.counts.queued === 0) continue;
    if (other.array !== undefined) {
      if (rank === 0 && other.first < task) ahead += other.counts.queued;
      continue;
    }
    const row = db.get(
      `SELECT count(*) AS n FROM (SELECT 1 FROM tasks
         WHERE id >= ?1 AND id < ?2 AND state = ${QUEUED} AND (rank > ?3 OR (rank = ?3 AND id < ?4)) LIMIT ${MOST_COUNTED})`,
      base + other.first,
      base + other.first + other.count,
      rank,
      base + task,
    );
    ahead += Number(row?.["n"] ?? 0);
  }
  return ahead;
}

/** Ready items of the execution in the group's pool, in groups numbered below `end`. */
function queuedIn(execution: ExecutionRecord, { pool }: GroupRecord, end = Infinity): number {
  let queued = 0;
  for (const group of execution.groups) if (group.pool === pool && group.no < end) queued += group.counts.queued;
  return queued;
}
