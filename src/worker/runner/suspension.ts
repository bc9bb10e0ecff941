/** Endings with which a node suspends itself. What the broker would refuse is a failure that says so. */
import type { Awakening, TaskGroup } from "../../broker/contract.ts";
import { MAX_PAYLOAD, MAX_TASKS_PER_CALL } from "../../broker/limits.ts";
import { HoldfastError } from "../../errors/index.ts";
import type { GroupHead, Json } from "../../sdk/workflow/node.ts";
import type { Ending } from "./job.ts";
import type { NodeAttempt } from "./node-attempt.ts";

/** Texts of all tasks that one node adds, characters. */
export const MAX_ADDED = 8 * MAX_PAYLOAD;
/** The broker's limit of names; its schemas are too heavy for a runner. */
export const MAX_LABEL = 256;

/** @throws HoldfastError PAYLOAD_TOO_LARGE. */
export function suspended(attempt: NodeAttempt, until: Awakening, state: Json = null): Ending {
  const text = JSON.stringify(state);
  checkLength(`The state of node ${attempt.id}`, text.length, MAX_PAYLOAD);
  return { type: "suspended", state: text, until };
}

export interface AddedTask {
  readonly label: string;
  readonly input: string;
  readonly rank?: number;
  /** Numbers of others, counted from the first that the node adds. */
  readonly after?: readonly number[];
}

/** Tasks that a node adds, measured as they are gathered. */
export class AddedTasks {
  readonly #node: string;
  readonly #groups: TaskGroup[] = [];
  #count = 0;
  #length = 0;

  constructor(node: string) {
    this.#node = node;
  }

  get groups(): readonly TaskGroup[] {
    return this.#groups;
  }

  get count(): number {
    return this.#count;
  }

  /** @throws HoldfastError PAYLOAD_TOO_LARGE, BATCH_TOO_LARGE, NODE_FAILED. */
  add(head: GroupHead, tasks: Iterable<AddedTask>): void {
    const taken: AddedTask[] = [];
    this.#measure("The handler", head.handler);
    for (const task of tasks) {
      this.#measure(`The input of ${task.label}, which`, task.input);
      this.#checkLabel(task.label);
      this.#count += 1;
      if (this.#count > MAX_TASKS_PER_CALL) {
        const what = `What node ${this.#node} adds`;
        throw new HoldfastError("BATCH_TOO_LARGE", {
          what,
          count: `more than ${MAX_TASKS_PER_CALL}`,
          limit: MAX_TASKS_PER_CALL,
        });
      }
      taken.push(task);
    }
    const after = taken.some((task) => task.after !== undefined) ? taken.map((task) => task.after ?? []) : undefined;
    const ranks = taken.some(({ rank = 0 }) => rank > 0) ? taken.map(({ rank = 0 }) => rank) : undefined;
    this.#groups.push({
      ...head,
      work: {
        kind: "tasks",
        inputs: taken.map(({ input }) => input),
        labels: taken.map(({ label }) => label),
        ...(after === undefined ? {} : { after }),
        ...(ranks === undefined ? {} : { ranks }),
      },
    });
  }

  #measure(what: string, text: string): void {
    checkLength(`${what} node ${this.#node} adds,`, text.length, MAX_PAYLOAD);
    this.#length += text.length;
    checkLength(`What node ${this.#node} adds`, this.#length, MAX_ADDED);
  }

  #checkLabel(label: string): void {
    if (label.length <= MAX_LABEL) return;
    const problem = `the name of what it adds is longer than ${MAX_LABEL} characters: ${label.slice(0, 80)}…`;
    throw new HoldfastError("NODE_FAILED", { node: this.#node, problem });
  }
}

function checkLength(what: string, bytes: number, limit: number): void {
  if (bytes > limit) throw new HoldfastError("PAYLOAD_TOO_LARGE", { what, bytes, limit });
}
