import type { EditChanges } from "../../broker/contract.ts";
import { HoldfastError } from "../../errors/index.ts";
import type { EditOptions } from "../../sdk/edit.ts";
import type { Priority } from "../../sdk/task.ts";
import type { CliContext, CommandHost } from "../context.ts";
import { sentence } from "../execution-lines.ts";
import type { HoldfastCommand } from "../holdfast-command.ts";
import { settingOption, wholeNumberOption } from "../options.ts";
import { factLines } from "../terminal/facts.ts";
import { count, counted } from "../terminal/figures.ts";
import { toTasks } from "../to-task.ts";
import { withBroker } from "../with-broker.ts";

interface EditFlags {
  readonly broker?: string;
  readonly priority?: Priority;
  /** Tasks as they were named: numbers, or ids of nodes. */
  readonly remove?: readonly string[];
  readonly rewire?: Readonly<Record<string, readonly string[]>>;
  readonly rank?: Readonly<Record<string, number>>;
  readonly hold?: readonly string[];
  readonly unhold?: readonly string[];
  readonly undo?: boolean;
  readonly apply?: boolean;
  readonly json?: boolean;
}

const HELP = `
Without --apply it only says what it would do. A removed task never runs; one
that runs is stopped, and what comes after it is skipped. A rewired task waits
for its new parents; if it runs, it is stopped, and runs again after them. Of
tasks that are ready the one with the highest rank goes first. Nodes of a workflow
are named by their ids, or like all tasks by their numbers.

Examples:
  holdfast edit k7m2 --priority 8 --apply
  holdfast edit k7m2 --remove 3,7
  holdfast edit k7m2 --rewire 5=2,4 --rewire 6= --rank 5=100
  holdfast edit k7m2 --hold 8 --apply
  holdfast edit k7m2 --remove docs --rewire deploy=tests,lint
  holdfast edit k7m2 --undo --apply`;

export function defineEdit(program: HoldfastCommand, host: CommandHost): void {
  program
    .command("edit")
    .argument("<id>", "The execution, or the beginning of its id.")
    .description("Changes an execution while it runs: its priority, and which tasks run, when, and after which.")
    .option("--priority <level>", "1 to 10, 10 most urgent.", wholeNumberOption("--priority", { min: 1, max: 10 }))
    .option("--remove <tasks>", "Tasks, with commas between them.", toNames)
    .option("--rewire <task=parents>", "A task, and all its parents from now on; may be given again.", toRewire)
    .option("--rank <task=rank>", "A task, and its rank; may be given again.", toRank)
    .option("--hold <tasks>", "Tasks that are not started until they are let go.", toNames)
    .option("--unhold <tasks>", "Held tasks that are let go.", toNames)
    .option("--undo", "Takes the last edit back.")
    .option("--apply", "Does it.")
    .addOption(settingOption("broker", "address"))
    .option("--json", "Prints the changes as JSON.")
    .addHelpText("after", HELP)
    .action(async (id: string, flags: EditFlags) => host.finish(await edit(host.context, id, flags)));
}

async function edit(context: CliContext, id: string, flags: EditFlags): Promise<number> {
  const { out } = context;
  const { apply = false } = flags;
  requireSense(flags);
  const { executionId, changes } = await withBroker(context, flags, async ({ broker, client }) => {
    const execution = await client.get(id);
    const numberOf = await toTasks({ broker, executionId: execution.id }, namesIn(flags));
    const wanted = await (flags.undo === true ? execution.undo() : execution.edit(optionsOf(flags, numberOf)));
    return { executionId: execution.id, changes: apply ? await wanted.apply() : wanted.changes };
  });
  if (flags.json === true) {
    out.raw(`${JSON.stringify({ executionId, applied: apply, changes }, null, 2)}\n`);
    return 0;
  }
  const facts = factsOf(changes);
  const heading = `Execution ${executionId} ${apply ? "is edited" : "would be edited"}:`;
  const nothing = `Nothing of this is to be changed in execution ${executionId}: it is so already, or the tasks have ended.`;
  out.print(...sentence(out, facts.length === 0 ? nothing : heading));
  if (facts.length > 0) out.print(...factLines(out, facts));
  if (!apply && facts.length > 0) out.print(...sentence(out, "Nothing has been changed; --apply does it."));
  return 0;
}

/** --undo goes alone, and something is to be changed. */
function requireSense({ priority, remove, rewire, rank, hold, unhold, undo }: EditFlags): void {
  const isGiven = [priority, remove, rewire, rank, hold, unhold].some((value) => value !== undefined);
  if (undo === true && isGiven)
    throw new HoldfastError("INVALID_OPTION", { option: "--undo", value: "given with others", expected: "it alone" });
  if (undo === true || isGiven) return;
  const expected = "--priority, --remove, --rewire, --rank, --hold, --unhold or --undo, which say what to change";
  throw new HoldfastError("INVALID_OPTION", { option: "The edit", value: "empty", expected });
}

function namesIn({ remove = [], rewire = {}, rank = {}, hold = [], unhold = [] }: EditFlags): readonly string[] {
  return [...remove, ...hold, ...unhold, ...Object.keys(rank), ...Object.entries(rewire).flat(2)];
}

function optionsOf(
  { priority, remove, rewire, rank, hold, unhold }: EditFlags,
  numberOf: (name: string) => number,
): EditOptions {
  const parents = Object.entries(rewire ?? {}).map(([task, after]) => [numberOf(task), after.map(numberOf)]);
  const ranks = Object.entries(rank ?? {}).map(([task, to]) => [numberOf(task), to]);
  return {
    ...(priority === undefined ? {} : { priority }),
    ...(remove === undefined ? {} : { remove: remove.map(numberOf) }),
    ...(rewire === undefined ? {} : { rewire: Object.fromEntries(parents) as EditOptions["rewire"] & object }),
    ...(rank === undefined ? {} : { rank: Object.fromEntries(ranks) as EditOptions["rank"] & object }),
    ...(hold === undefined ? {} : { hold: hold.map(numberOf) }),
    ...(unhold === undefined ? {} : { unhold: unhold.map(numberOf) }),
  };
}

function factsOf(changes: EditChanges): [string, string][] {
  const { priority, removed, removedCount, skipped, skippedCount, rerun, rerunCount, restored, restoredCount } =
    changes;
  const tasks = removed.map(({ task, state }) => `${task} (${state})`);
  const counts: readonly (readonly [string, number])[] = [
    ["Rewired", changes.rewired],
    ["Ranked", changes.ranked],
    ["Held", changes.held],
    ["Let go", changes.unheld],
  ];
  return [
    ...(priority === undefined ? [] : [["Priority", `${priority.from} → ${priority.to}`] satisfies [string, string]]),
    ...factOf("Removed", tasks, removedCount),
    ...factOf("Skipped", skipped.map(String), skippedCount),
    ...counts.flatMap(([name, tasksOf]) =>
      tasksOf === 0 ? [] : [[name, counted(tasksOf, "task")] satisfies [string, string]],
    ),
    ...factOf("Run again", rerun.map(String), rerunCount),
    ...factOf("Come back", restored.map(String), restoredCount),
    ...(changes.ends === undefined
      ? []
      : [["Ends", `the execution, which is ${changes.ends} then`] satisfies [string, string]]),
  ];
}

/** Tasks named in one line; the rest is counted. */
const TASKS_SHOWN = 10;

function factOf(name: string, tasks: readonly string[], total: number): [string, string][] {
  if (total === 0) return [];
  const shown = tasks.slice(0, TASKS_SHOWN).join(", ");
  const more = total > TASKS_SHOWN ? ` and ${count(total - TASKS_SHOWN)} more` : "";
  return [[name, `${counted(total, "task")}: ${shown}${more}`]];
}

function toNames(text: string): readonly string[] {
  const names = text.split(",").map((part) => part.trim());
  if (names.every((name) => name !== "")) return names;
  throw refusal("a list of tasks", text, "numbers or ids with commas between them, such as 3,7 or docs");
}

/** `5=2,4`, and what was given before; `5=`: no parents. */
function toRewire(text: string, before: EditFlags["rewire"]): NonNullable<EditFlags["rewire"]> {
  const [task = "", parents] = text.split("=").map((part) => part.trim());
  if (task === "" || parents === undefined)
    throw refusal("--rewire", text, "a task and its parents, such as 5=2,4 or deploy=tests");
  return { ...before, [task]: parents === "" ? [] : toNames(parents) };
}

function toRank(text: string, before: EditFlags["rank"]): NonNullable<EditFlags["rank"]> {
  const [task = "", rank = ""] = text.split("=").map((part) => part.trim());
  if (task === "" || !/^\d{1,15}(\.\d{1,6})?$/.test(rank))
    throw refusal("--rank", text, "a task and its rank, such as 5=100");
  return { ...before, [task]: Number(rank) };
}

function refusal(option: string, text: string, expected: string): HoldfastError {
  return new HoldfastError("INVALID_OPTION", { option, value: JSON.stringify(text), expected });
}
