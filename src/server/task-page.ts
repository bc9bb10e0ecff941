/** Pages of tasks, with their results. */
import type { TaskView } from "../broker/contract.ts";
import { MAX_REPLY_PAYLOAD } from "../broker/limits.ts";

/** As many of the tasks as an answer can carry, and where the next page begins if there is one. */
export function withinPayload(
  tasks: readonly TaskView[],
  limit: number,
): { readonly tasks: readonly TaskView[]; readonly next?: number } {
  let size = 0;
  const end = tasks.findIndex((task) => {
    size += task.result?.length ?? 0;
    return size >= MAX_REPLY_PAYLOAD;
  });
  const kept = end === -1 ? tasks : tasks.slice(0, end + 1);
  const last = kept.length < tasks.length || tasks.length >= limit ? kept.at(-1) : undefined;
  return { tasks: kept, ...(last === undefined ? {} : { next: last.task }) };
}
