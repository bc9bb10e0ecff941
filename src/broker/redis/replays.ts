/**
 * What runs again by somebody's hand, and what does not: dead letters replayed or discarded, tasks rerun.
 *
 * Of many letters, or many tasks, each script takes a page, so that the server goes on with other things in
 * between. The first page makes the execution live again, and is refused whole or not at all. A call that
 * breaks off between two pages has done those before; made again, it does the rest.
 */
import { HoldfastError } from "../../errors/index.ts";
import type { LettersParams, RerunParams } from "../contract.ts";
import type { BrokerSettings } from "../settings.ts";
import type { Reply } from "./link/link.ts";
import type { ScriptArgument } from "./shard.ts";
import type { Spread } from "./spread.ts";
import { endedOrUnknown, maxDepthOf, queueFull } from "./steering.ts";

export interface ReplaysOptions {
  readonly spread: Spread;
  readonly settings: BrokerSettings;
}

/** Letters of one script: some tens of milliseconds of the server. */
const LETTERS_PER_PAGE = 1_000;
/** Likewise, tasks that are run again. */
const TASKS_PER_PAGE = 1_000;

export class Replays {
  readonly #options: ReplaysOptions;

  constructor(options: ReplaysOptions) {
    this.#options = options;
  }

  /** Items that were dead and wait again. */
  retry(params: LettersParams): Promise<number> {
    let begunAt = "";
    return this.#pageByPage("retry", params, {
      args: () => [begunAt, maxDepthOf(this.#options)],
      // What dies again from now on is not replayed by this call.
      after: (now) => (begunAt ||= String(now)),
    });
  }

  /** Items whose letters were struck off. */
  discard(params: LettersParams): Promise<number> {
    return this.#pageByPage("discard", params, { args: () => [], after: () => undefined });
  }

  async #pageByPage(
    name: "retry" | "discard",
    { executionId, letters }: LettersParams,
    how: { readonly args: () => readonly ScriptArgument[]; readonly after: (now: Reply | undefined) => void },
  ): Promise<number> {
    const shard = this.#options.spread.shardOf(executionId);
    const head = [executionId, letters === undefined ? "1" : "0", LETTERS_PER_PAGE];
    let changed = 0;
    for (let page = ""; ;) {
      const reply = await shard.run(name, [...head, page, ...how.args(), ...namesOf(letters)]);
      const [items, next, now] = this.#done(executionId, reply);
      changed += Number(items);
      page = String(next);
      if (page === "") return changed;
      how.after(now);
    }
  }

  /** Tasks that will be run again. */
  async rerun({ executionId, task }: RerunParams): Promise<number> {
    const shard = this.#options.spread.shardOf(executionId);
    let reset = 0;
    for (let last = ""; ;) {
      const reply = await shard.run("rerun", [executionId, task, TASKS_PER_PAGE, last]);
      refuseRerun(reply[0], { executionId, task });
      const [items, next] = this.#done(executionId, reply);
      reset += Number(items);
      last = String(next);
      if (last === "") return reset;
    }
  }

  /** The reply without its `ok`. Errors: EXECUTION_NOT_FOUND, EXECUTION_CANCELLED, QUEUE_FULL. */
  #done(executionId: string, reply: readonly Reply[]): readonly Reply[] {
    const [code, ...rest] = reply;
    switch (code) {
      case "ok":
        return rest;
      case "QUEUE_FULL":
        throw queueFull(rest, maxDepthOf(this.#options));
      case "EXECUTION_CANCELLED":
        throw new HoldfastError("EXECUTION_CANCELLED", { execution: executionId });
      default:
        throw endedOrUnknown(executionId, reply);
    }
  }
}

/** Letters as the hash `tries` names them. */
function namesOf(letters: LettersParams["letters"] = []): string[] {
  return [...new Set(letters.map(({ task, start }) => (start === undefined ? String(task) : `${task}:${start}`)))];
}

/** Errors: INPUTS_NOT_KEPT, TASK_UNKNOWN, INVALID_REQUEST. */
function refuseRerun(code: Reply | undefined, { executionId, task }: RerunParams): void {
  switch (code) {
    case "INPUTS_NOT_KEPT":
      throw new HoldfastError("INPUTS_NOT_KEPT", { execution: executionId });
    case "TASK_UNKNOWN":
      throw new HoldfastError("TASK_UNKNOWN", { execution: executionId, task });
    case "ARRAY":
      throw refusedTask(task, "is an array; its items can be retried when they have failed");
    case "REMOVED":
      throw refusedTask(task, "was removed from its execution");
    case "HELD_UP":
      throw refusedTask(task, "comes after a task that has failed; retry or rerun that one");
    default:
  }
}

function refusedTask(task: number, problem: string): HoldfastError {
  return new HoldfastError("INVALID_REQUEST", { method: "rerun", path: "task", problem: `${task} ${problem}` });
}
