/** Tasks that a person names by their numbers, or as nodes of a workflow by their ids. */
import { HoldfastError } from "../errors/index.ts";
import { isWhole, readTasks, type TasksParams } from "../sdk/workflow/nodes.ts";

const NUMBER = /^\d{1,8}$/;

/** @throws HoldfastError TASK_UNKNOWN. */
export async function toTask(execution: TasksParams, named: string): Promise<number> {
  const numberOf = await toTasks(execution, [named]);
  return numberOf(named);
}

/**
 * The numbers of all that are named.
 *
 * @throws HoldfastError TASK_UNKNOWN.
 */
export async function toTasks(execution: TasksParams, named: readonly string[]): Promise<(name: string) => number> {
  const numbers = new Map(named.filter((name) => NUMBER.test(name)).map((name) => [name, Number(name)]));
  const left = new Set(named.filter((name) => !NUMBER.test(name)));
  // Of parts with the same name the last is meant, as in taskOf.
  const areWhole = [...left].every(isWhole);
  if (left.size > 0) {
    for await (const { task, label } of readTasks(execution)) {
      if (label === undefined || !left.has(label)) continue;
      numbers.set(label, task);
      if (areWhole && numbers.size === named.length) break;
    }
  }
  return (name) => {
    const number = numbers.get(name);
    if (number !== undefined) return number;
    throw new HoldfastError("TASK_UNKNOWN", { execution: execution.executionId, task: JSON.stringify(name) });
  };
}
