/** What comes after what in an execution of a random history, kept beside the broker. */
import type { Edit, Outcome, TaskGroup, TaskView } from "../../src/broker/contract.ts";

/** What an undo would take back. */
interface LastEdit {
  readonly first: number;
  readonly added: number;
  /** Parents before, of tasks that got others. */
  readonly rewired: ReadonlyMap<number, readonly number[]>;
}

export class Graph {
  /** Parents by task. */
  readonly #parents: (readonly number[])[] = [];
  /** Groups by task. */
  readonly #groups: TaskGroup[] = [];
  /** What a suspended task has added, and waits for. */
  readonly #ties = new Map<number, number[]>();
  /** Tasks that skipped themselves: what that means to those that come after them. */
  readonly #selfSkipped = new Map<number, "skip" | "release">();
  /** Letters that were to be borne, and were retried: what comes after them was let go. */
  readonly #retried = new Set<number>();
  #last: LastEdit | undefined;

  constructor(groups: readonly TaskGroup[]) {
    this.add(groups);
  }

  get size(): number {
    return this.#parents.length;
  }

  groupOf(task: number): TaskGroup | undefined {
    return this.#groups[task];
  }

  isArray(task: number): boolean {
    return this.#groups[task]?.work.kind === "array";
  }

  /** All that must have completed before the task starts. */
  parentsOf(task: number): readonly number[] {
    return [...new Set([...(this.#parents[task] ?? []), ...(this.#ties.get(task) ?? [])])];
  }

  /** `distance`: parents count from here. */
  add(groups: readonly TaskGroup[], distance = 0): void {
    for (const group of groups) {
      const { work } = group;
      const all = work.kind === "array" ? [[]] : work.inputs.map((_, index) => work.after?.[index] ?? []);
      for (const parents of all) {
        this.#parents.push(parents.map((parent) => parent + distance));
        this.#groups.push(group);
      }
    }
  }

  /** An outcome was accepted. */
  noteOutcome(task: number, outcome: Outcome): void {
    if (outcome.kind === "skipped") this.#selfSkipped.set(task, outcome.dependents);
    if (outcome.kind !== "suspended" || outcome.until.kind !== "tasks") return;
    const first = this.size;
    this.add(outcome.until.groups, first);
    const added = Array.from({ length: this.size - first }, (_, index) => first + index);
    this.#ties.set(task, [...(this.#ties.get(task) ?? []), ...added]);
  }

  /** What comes after a task that has ended so goes on without its result. */
  passes(view: TaskView | undefined): boolean {
    if (view !== undefined && this.#retried.has(view.task)) return true;
    if (view?.state === "skipped") return this.#selfSkipped.get(view.task) === "release";
    return view?.state === "failed" && this.groupOf(view.task)?.onFailure === "continue";
  }

  /** The task starts from the beginning: what it had added. */
  untie(task: number): readonly number[] {
    const added = this.#ties.get(task) ?? [];
    this.#ties.delete(task);
    this.#selfSkipped.delete(task);
    this.#retried.delete(task);
    return added;
  }

  noteRetry(task: number): void {
    if (this.groupOf(task)?.onFailure === "continue") this.#retried.add(task);
  }

  /** The task and all that come after it. */
  below(task: number): ReadonlySet<number> {
    const found = new Set([task]);
    for (let before = 0; before < found.size;) {
      before = found.size;
      for (let other = 0; other < this.size; other += 1)
        if (this.parentsOf(other).some((parent) => found.has(parent))) found.add(other);
    }
    return found;
  }

  /** Whether a task may be rewired, as far as its state says. */
  mayMove({ task, state, removed = false }: TaskView): boolean {
    if (this.isArray(task)) return false;
    if (state === "skipped") return !removed && !this.#selfSkipped.has(task);
    return ["blocked", "scheduled", "queued", "running"].includes(state);
  }

  /** Does the edits of one call; false where they would make a cycle: then nothing is done. */
  edit(edits: readonly Edit[]): boolean {
    const rewired = new Map<number, readonly number[]>();
    const before = [...this.#parents];
    const first = this.size;
    for (const edit of edits) if (edit.kind === "add") this.add(edit.groups);
    for (const edit of edits) {
      if (edit.kind !== "rewire") continue;
      const old = this.#parents[edit.task] ?? [];
      if (sameNumbers(old, edit.after)) continue;
      rewired.set(edit.task, old);
      this.#parents[edit.task] = edit.after;
    }
    if ([...rewired.keys()].some((task) => this.#isOnCycle(task))) {
      this.#parents.splice(0, this.#parents.length, ...before);
      this.#groups.splice(first);
      return false;
    }
    this.#last = { first, added: this.size - first, rewired };
    return true;
  }

  #isOnCycle(task: number): boolean {
    const found = new Set<number>();
    const open = [...this.parentsOf(task)];
    for (let parent = open.pop(); parent !== undefined; parent = open.pop()) {
      if (parent === task) return true;
      if (found.has(parent)) continue;
      found.add(parent);
      open.push(...this.parentsOf(parent));
    }
    return false;
  }

  /** What comes of an undo: why it is refused, or nothing. */
  undoRefusal(views: readonly TaskView[]): "INVALID_REQUEST" | "EDIT_CONFLICT" | undefined {
    if (this.#last === undefined) return "INVALID_REQUEST";
    const { first, added, rewired } = this.#last;
    const isLate = ({ task, state, removed = false }: TaskView): boolean => {
      if (state === "skipped") return this.#selfSkipped.has(task) || (rewired.has(task) && removed);
      return state === "completed" || state === "failed";
    };
    const own = views.filter(({ task }) => rewired.has(task) || (task >= first && task < first + added));
    return own.some(isLate) ? "EDIT_CONFLICT" : undefined;
  }

  undo(): void {
    for (const [task, parents] of this.#last?.rewired ?? []) this.#parents[task] = parents;
    this.#last = undefined;
  }
}

function sameNumbers(some: readonly number[], others: readonly number[]): boolean {
  const [one, other] = [new Set(some), new Set(others)];
  return one.size === other.size && [...one].every((number) => other.has(number));
}
