/**
 * Edits of executions: their priority, tasks added, removed, rewired, ranked and held. One script does all of an edit,
 * or only says what it would do. An edit without a name gets one for the time of its call, which may be made again.
 */
import { createHash } from "node:crypto";
import { HoldfastError } from "../../errors/index.ts";
import {
  arrayRefused,
  checkAdded,
  checkEdits,
  cycleRefused,
  endedRefused,
  rescueRefused,
  type SortedEdits,
  undoRefused,
} from "../check-edits.ts";
import type { EditChanges, EditParams } from "../contract.ts";
import { MAX_CHANGES_TOLD, MAX_EDITS_KNOWN } from "../limits.ts";
import type { Reply } from "./link/link.ts";
import type { ScriptArgument } from "./shard.ts";
import { endedOrUnknown, maxDepthOf, queueFull, rescuesOf, type SteeringOptions } from "./steering.ts";
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
  // Those that the call itself adds; of the others the script knows.
  checkAdded(params, { rescues: [], maxFailures: undefined, nextTask: Number(nextTask) });
  const [code, ...rest] = await shard.run("edit", editArguments(options, params, sorted));
  if (code === "ok") return { version: String(rest[0]), changes: JSON.parse(String(rest[1])) as EditChanges };
  if (code === "RESCUES") checkAdded(params, { ...rescuesOf(rest), nextTask: Number(nextTask) });
  throw refusal(options, params, [String(code), ...rest]);
}

function refusal(options: SteeringOptions, params: EditParams, [code, ...rest]: readonly Reply[]): HoldfastError {
  const { executionId } = params;
  switch (code) {
    case "EDIT_CONFLICT":
      return new HoldfastError("EDIT_CONFLICT", { execution: executionId });
    case "TASK_UNKNOWN":
      return new HoldfastError("TASK_UNKNOWN", { execution: executionId, task: Number(rest[0]) });
    case "ARRAY":
      return arrayRefused(params, Number(rest[0]));
    case "QUEUE_FULL":
      return queueFull(rest, maxDepthOf(options));
    case "ENDED":
      return endedRefused(params, Number(rest[0]));
    case "RESCUE":
      return rescueRefused(params, Number(rest[0]), Number(rest[1]));
    case "CYCLE":
      return cycleRefused(params, JSON.parse(String(rest[0])) as number[]);
    case "NO_UNDO":
      return undoRefused();
    case "RESCUES":
      return new HoldfastError("INTERNAL", { problem: "the script edit refuses what may be added" });
    default:
      return endedOrUnknown(executionId, [code, ...rest]);
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
    sorted.isUndo ? "1" : "0",
    sorted.priority ?? "",
    JSON.stringify({
      remove: sorted.removals,
      hold: sorted.holds,
      unhold: sorted.unholds,
      rewire: [...sorted.rewires],
      rank: [...sorted.ranks].map(([task, rank]) => [task, String(rank)]),
    }),
  ];
  pushGroups(args, sorted.groups);
  return args;
}
