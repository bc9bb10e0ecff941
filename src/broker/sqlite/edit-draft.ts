/**
 * An execution's graph as the edits of one call leave it, drawn beside the file, which it only reads:
 * as little of it as they touch.
 *
 * Invariant (settled): a task that has not ended, and is not removed, is dead exactly when one of its
 * parents is.
 */
import { HoldfastError } from "../../errors/index.ts";
import type { TaskGroup } from "../contract.ts";
import type { Row } from "./database.ts";
import { childrenOf, parentsIn, parentState } from "./dependents.ts";
import type { Engine } from "./engine.ts";
import { countedAs, type ExecutionRecord, groupOf, type GroupRecord, type ItemCounts, taskId } from "./model.ts";
import { addedBy, type Wake, wakeIn } from "./wake.ts";

/** `dead`: skipped, because of a parent. */
export type Fate = "alive" | "dead" | "removed" | "ended";

interface Node {
  readonly task: number;
  /** Its parents' ends do not matter to it, only its execution's. */
  readonly isRescue: boolean;
  parents: readonly number[];
  fate: Fate;
}

/** A task that the call adds. */
export type AddedTask = Node;

/** A separate task of the execution. */
export interface DraftTask extends Node {
  readonly group: GroupRecord;
  readonly was: FormerTask;
  held: boolean;
  rank: number;
  /** It gets other parents, and begins anew if it has begun: a suspension is forgotten. */
  isRewired: boolean;
}

/** The task before the edits. */
export interface FormerTask {
  readonly state: keyof ItemCounts;
  readonly fate: Fate;
  readonly parents: readonly number[];
  readonly waitingOn: number;
  /** What comes after it was let go once and for all, though it has not completed. */
  readonly passes: boolean;
  readonly held: boolean;
  readonly rank: number;
  readonly notBefore: number | undefined;
  /** It has suspended itself, and goes on, or will. */
  readonly wake: Wake | undefined;
  /** The signal that it waits for. */
  readonly awaits: string | undefined;
}

/** What a task means to those that come after it; `settled`: it holds them up no longer. */
type Stand = "open" | "settled" | "dead";

export class Draft {
  readonly execution: ExecutionRecord;
  /** Those that were looked at, by number. */
  readonly tasks = new Map<number, DraftTask>();
  readonly added: AddedTask[] = [];
  readonly #engine: Engine;
  /** Of tasks that this draft has not changed. */
  readonly #stands = new Map<number, Stand>();
  /** Children that the file does not have, by parent. */
  readonly #newChildren = new Map<number, Set<number>>();

  constructor(engine: Engine, execution: ExecutionRecord) {
    this.#engine = engine;
    this.execution = execution;
  }

  /** Undefined for an array. Errors: TASK_UNKNOWN. */
  find(task: number): DraftTask | undefined {
    const known = this.tasks.get(task);
    if (known !== undefined) return known;
    const group = groupOf(this.execution, task);
    if (group === undefined) throw new HoldfastError("TASK_UNKNOWN", { execution: this.execution.id, task });
    if (group.array !== undefined) return undefined;
    const was = this.#read(group, task);
    const { parents, held, rank, fate } = was;
    const isRescue = group.spec.when === "failed";
    const drafted: DraftTask = { task, isRescue, group, was, parents, held, rank, fate, isRewired: false };
    this.tasks.set(task, drafted);
    return drafted;
  }

  #read(group: GroupRecord, task: number): FormerTask {
    const row: Row =
      this.#engine.db.get(
        "SELECT state, parents, waiting_on, passes, held, rank, removed, not_before, wake, awaits FROM tasks WHERE id = ?",
        taskId(this.execution, task),
      ) ?? {};
    const state = countedAs(group, Number(row["state"]));
    return {
      state,
      fate: fateOf(state, row["removed"] === 1),
      parents: parentsIn(row["parents"]),
      waitingOn: Number(row["waiting_on"] ?? 0),
      passes: row["passes"] === 1,
      held: row["held"] === 1,
      rank: Number(row["rank"] ?? 0),
      notBefore: typeof row["not_before"] === "number" ? row["not_before"] : undefined,
      wake: wakeIn(row["wake"]),
      awaits: typeof row["awaits"] === "string" ? row["awaits"] : undefined,
    };
  }

  /** Whether nothing brings the task to life again but a person's rerun: it has run, or said itself that it is not to. */
  hasEnded({ was }: DraftTask): boolean {
    if (was.fate === "alive" || was.fate === "removed") return false;
    if (was.fate === "ended") return true;
    return ![...was.parents, ...addedBy(was.wake)].some((parent) => this.#standInFile(parent) === "dead");
  }

  // ── Changes ─────────────────────────────────────────────────────────────────────────────────

  add({ work, when }: TaskGroup): void {
    const isRescue = when === "failed";
    if (work.kind === "array") return;
    for (const index of work.inputs.keys()) {
      const parents = [...new Set(work.after?.[index])];
      const task = this.execution.nextTask + this.added.length;
      this.added.push({ task, isRescue, parents, fate: "alive" });
      if (!isRescue) this.#link(task, parents);
    }
  }

  rewire(drafted: DraftTask, parents: readonly number[]): void {
    for (const parent of drafted.parents) this.#newChildren.get(parent)?.delete(drafted.task);
    drafted.parents = parents;
    drafted.isRewired = true;
    if (!drafted.isRescue) this.#link(drafted.task, parents);
  }

  #link(task: number, parents: readonly number[]): void {
    for (const parent of parents) {
      const children = this.#newChildren.get(parent);
      if (children === undefined) this.#newChildren.set(parent, new Set([task]));
      else children.add(task);
    }
  }

  /**
   * Who is skipped and who comes back by it. First those that come after removed tasks go, then those
   * come back that no dead parent holds up any more, then those go that were given a dead one.
   */
  settle(restored: readonly DraftTask[]): void {
    const drafted = [...this.tasks.values()];
    this.#kill(drafted.filter(({ fate, was }) => fate === "removed" && !was.passes).map(({ task }) => task));
    const rewired = drafted.filter(({ isRewired }) => isRewired);
    this.#revive([...restored, ...rewired].map(({ task }) => task));
    const judged = [...rewired, ...this.added];
    const dead = judged.filter((node) => node.fate === "alive" && !node.isRescue && this.#hasDeadParent(node));
    for (const node of dead) node.fate = "dead";
    this.#kill(dead.map(({ task }) => task));
  }

  #kill(tasks: number[]): void {
    for (let parent = tasks.pop(); parent !== undefined; parent = tasks.pop()) {
      for (const child of this.#childrenOf(parent)) {
        const node = this.#node(child);
        if (node?.fate !== "alive" || !mayDie(node)) continue;
        node.fate = "dead";
        tasks.push(child);
      }
    }
  }

  #revive(tasks: number[]): void {
    for (let task = tasks.pop(); task !== undefined; task = tasks.pop()) {
      const node = this.#node(task);
      if (node?.fate !== "dead" || (!node.isRescue && this.#hasDeadParent(node))) continue;
      node.fate = "alive";
      for (const child of this.#childrenOf(task)) tasks.push(child);
    }
  }

  #hasDeadParent(node: Node): boolean {
    return parentsOf(node).some((parent) => this.#stand(parent) === "dead");
  }

  /** Parents that it waits for, and tasks that it has added and waits for. */
  openParents(node: Node): number {
    return parentsOf(node).filter((parent) => this.#stand(parent) === "open").length;
  }

  #stand(task: number): Stand {
    const node = this.#known(task);
    if (node === undefined) return this.#standInFile(task);
    if (isDrafted(node) && (node.was.passes || node.fate === node.was.fate)) return this.#standInFile(task);
    return node.fate === "alive" ? "open" : "dead";
  }

  #standInFile(task: number): Stand {
    const known = this.#stands.get(task);
    if (known !== undefined) return known;
    const state = parentState(this.#engine.db, this.execution, task);
    const stand = state === "open" || state === "dead" ? state : "settled";
    this.#stands.set(task, stand);
    return stand;
  }

  #node(task: number): DraftTask | AddedTask | undefined {
    return this.#known(task) ?? this.find(task);
  }

  #known(task: number): DraftTask | AddedTask | undefined {
    return this.added[task - this.execution.nextTask] ?? this.tasks.get(task);
  }

  #childrenOf(task: number): number[] {
    const { db } = this.#engine;
    const fresh = this.#newChildren.get(task);
    if (task >= this.execution.nextTask) return [...(fresh ?? [])];
    const stored = childrenOf(db, this.execution, task).filter((child) => this.tasks.get(child)?.isRewired !== true);
    return fresh === undefined ? stored : [...stored, ...fresh];
  }

  /**
   * A cycle through one of these tasks: it, the parent that it waits for, and so on. Walks what comes
   * after them, each once.
   */
  findCycle(tasks: readonly number[]): readonly number[] | undefined {
    const done = new Set<number>();
    for (const start of tasks) {
      /** The way from `start` down to here, each with those of its children that are still to be walked. */
      const way: { readonly task: number; readonly children: number[] }[] = [];
      const onWay = new Set<number>();
      const enter = (task: number): void => {
        way.push({ task, children: this.#childrenOf(task) });
        onWay.add(task);
      };
      if (!done.has(start)) enter(start);
      for (let here = way.at(-1); here !== undefined; here = way.at(-1)) {
        const child = here.children.pop();
        if (child === undefined) {
          way.pop();
          onWay.delete(here.task);
          done.add(here.task);
        } else if (onWay.has(child)) {
          const cycle = way.slice(way.findIndex(({ task }) => task === child)).map(({ task }) => task);
          return startingAt(cycle.toReversed(), new Set(tasks));
        } else if (!done.has(child)) enter(child);
      }
    }
    return undefined;
  }
}

function parentsOf(node: Node): readonly number[] {
  if (!isDrafted(node)) return node.parents;
  const added = node.isRewired || node.fate === "removed" ? [] : addedBy(node.was.wake);
  return added.length === 0 ? node.parents : [...node.parents, ...added];
}

function isDrafted(node: Node): node is DraftTask {
  return "was" in node;
}

/** The cycle turned so that one of these is first. */
function startingAt(cycle: readonly number[], first: ReadonlySet<number>): readonly number[] {
  const at = Math.max(
    0,
    cycle.findIndex((task) => first.has(task)),
  );
  return [...cycle.slice(at), ...cycle.slice(0, at)];
}

function fateOf(state: keyof ItemCounts, isRemoved: boolean): Fate {
  if (state === "skipped") return isRemoved ? "removed" : "dead";
  return state === "completed" || state === "failed" ? "ended" : "alive";
}

/** What has started had no parent left to wait for. */
function mayDie(node: DraftTask | AddedTask): boolean {
  if (node.isRescue) return false;
  return !isDrafted(node) || node.isRewired || node.was.state === "blocked" || node.was.state === "skipped";
}
