/** Edits of an execution that runs: what a program asks for, what it would do, and doing just that. */
import type { ClientBroker } from "./client-broker.ts";
import type { Edit, EditChanges, EditReply, TaskGroup } from "../broker/contract.ts";
import { HoldfastError } from "../errors/index.ts";
import type { Definition } from "./definition.ts";
import { type Priority, toPriority } from "./task.ts";

export interface EditOptions {
  readonly priority?: Priority;
  /** A batch whose inputs become further tasks. */
  readonly add?: Definition;
  /** Numbers of tasks that must have completed before any of the added ones starts. */
  readonly after?: readonly number[];
  /** Numbers of tasks that are not wanted any more. */
  readonly remove?: readonly number[];
  /** By task: the numbers of all its parents from now on. A running attempt is stopped, and the task runs again after them. */
  readonly rewire?: Readonly<Record<number, readonly number[]>>;
  /** By task: of those that are ready the highest goes first. Default 0. */
  readonly rank?: Readonly<Record<number, number>>;
  /** Numbers of tasks that are not started until they are let go. */
  readonly hold?: readonly number[];
  /** Numbers of held tasks that are let go. */
  readonly unhold?: readonly number[];
}

/** What an edit would do when it was asked; nothing has been changed yet. */
export class ExecutionEdit {
  readonly changes: EditChanges;
  readonly #broker: ClientBroker;
  readonly #executionId: string;
  readonly #edits: readonly Edit[];
  readonly #version: string;

  constructor(broker: ClientBroker, edits: readonly Edit[], { version, changes, execution }: EditReply) {
    this.changes = changes;
    this.#broker = broker;
    this.#executionId = execution.executionId;
    this.#edits = edits;
    this.#version = version;
  }

  /**
   * Does what `changes` says, in one step. Done once, however often it is called.
   *
   * @throws HoldfastError EDIT_CONFLICT when it would do something else by now; EXECUTION_ENDED, QUEUE_FULL.
   */
  async apply(): Promise<EditChanges> {
    const { changes } = await this.#broker.editExecution({
      executionId: this.#executionId,
      edits: this.#edits,
      apply: true,
      version: this.#version,
    });
    return changes;
  }
}

/** Errors: INVALID_OPTION, and those of preparing a batch. */
export async function toEdits(options: EditOptions): Promise<readonly Edit[]> {
  const { priority, add, after, remove } = options;
  const edits: Edit[] = graphEdits(options);
  if (priority !== undefined) edits.push({ kind: "priority", priority: toPriority(priority, "priority") });
  if (remove !== undefined && remove.length > 0) edits.push({ kind: "remove", tasks: remove });
  if (add !== undefined) edits.push({ kind: "add", groups: await groupsOf(add, after ?? []) });
  else if (after !== undefined)
    throw new HoldfastError("INVALID_OPTION", { option: "after", value: "given", expected: "`add` beside it" });
  if (edits.length > 0) return edits;
  const expected = "`priority`, `add`, `remove`, `rewire`, `rank`, `hold` or `unhold`";
  throw new HoldfastError("INVALID_OPTION", { option: "edit", value: "empty", expected });
}

function graphEdits({ rewire = {}, rank = {}, hold = [], unhold = [] }: EditOptions): Edit[] {
  const ranked = Object.entries(rank);
  return [
    ...Object.entries(rewire).map(([task, after]): Edit => ({ kind: "rewire", task: Number(task), after })),
    ...(ranked.length === 0
      ? []
      : [{ kind: "rank", tasks: ranked.map(([task]) => Number(task)), ranks: ranked.map(([, to]) => to) } as const]),
    ...(hold.length === 0 ? [] : [{ kind: "hold", tasks: hold } as const]),
    ...(unhold.length === 0 ? [] : [{ kind: "unhold", tasks: unhold } as const]),
  ];
}

async function groupsOf(definition: Definition, after: readonly number[]): Promise<readonly TaskGroup[]> {
  if (definition.kind !== "batch") {
    throw new HoldfastError("INVALID_OPTION", { option: "add", value: `a ${definition.kind}`, expected: "a batch" });
  }
  const { submission, rest } = await definition.prepare();
  const groups = [...submission.groups, ...rest.flat()];
  if (after.length === 0) return groups;
  return groups.map(({ work, ...group }): TaskGroup => {
    if (work.kind === "array") return { ...group, work };
    return { ...group, work: { ...work, after: work.inputs.map(() => after) } };
  });
}
