/**
 * Edits of executions: their priority, tasks added, tasks removed. One script does all of an edit, or only
 * says what it would do. An edit without a name gets one for the time of its call, which may be made again.
 */
import { createHash } from "node:crypto";
import { HoldfastError } from "../../errors/index.ts";
import { arrayRefused, checkEdits, type SortedEdits } from "../check-edits.ts";
import type { EditChanges, EditParams } from "../contract.ts";
import { MAX_CHANGES_TOLD, MAX_EDITS_KNOWN } from "../limits.ts";
import type { ScriptArgument } from "./shard.ts";
import { endedOrUnknown, maxDepthOf, queueFull, type SteeringOptions } from "./steering.ts";
import { pushGroups } from "./submit-arguments.ts";

export interface Edited {
  readonly version: string;
  readonly changes: EditChanges;
}

/** Errors: those of the contract's `editExecution`. */
export async function editExecution(options: SteeringOptions, params: EditParams): Promise<Edited> {
  const { executionId } = params;
  const shard = options.spread.shardOf(executionId);
  const nextTask = await shard.send("HGET", `${shard.prefix}exec:${executionId}`, "nextTask");
  if (nextTask === null) throw endedOrUnknown(executionId, []);
  const sorted = checkEdits(params, Number(nextTask));
  const [code, ...rest] = await shard.run("edit", editArguments(options, params, sorted));
  switch (code) {
    case "ok":
      return { version: String(rest[0]), changes: JSON.parse(String(rest[1])) as EditChanges };
    case "EDIT_CONFLICT":
      throw new HoldfastError("EDIT_CONFLICT", { execution: executionId });
    case "TASK_UNKNOWN":
      throw new HoldfastError("TASK_UNKNOWN", { execution: executionId, task: Number(rest[0]) });
    case "ARRAY":
      throw arrayRefused(params, Number(rest[0]));
    case "QUEUE_FULL":
      throw queueFull(rest, maxDepthOf(options));
    default:
      throw endedOrUnknown(executionId, [code, ...rest]);
  }
}

/** As scripts/edit.lua takes them. */
function editArguments(options: SteeringOptions, params: EditParams, sorted: SortedEdits): readonly ScriptArgument[] {
  const { executionId, edits, apply, version = "", editId = `auto-${options.newId()}` } = params;
  const args: ScriptArgument[] = [
    maxDepthOf(options),
    executionId,
    apply ? "1" : "0",
    version,
    editId,
    createHash("sha256").update(JSON.stringify(edits)).digest("hex"),
    MAX_EDITS_KNOWN,
    MAX_CHANGES_TOLD,
    sorted.priority ?? "",
    JSON.stringify(sorted.removals),
  ];
  pushGroups(args, sorted.groups);
  return args;
}
