import type { EditChanges } from "../../broker/contract.ts";
import { HoldfastError } from "../../errors/index.ts";
import type { Priority } from "../../sdk/task.ts";
import type { CliContext, CommandHost } from "../context.ts";
import { sentence } from "../execution-lines.ts";
import type { HoldfastCommand } from "../holdfast-command.ts";
import { settingOption, wholeNumberOption } from "../options.ts";
import { factLines } from "../terminal/facts.ts";
import { count, counted } from "../terminal/figures.ts";
import { withBroker } from "../with-broker.ts";

interface EditFlags {
  readonly broker?: string;
  readonly priority?: Priority;
  readonly remove?: readonly number[];
  readonly apply?: boolean;
  readonly json?: boolean;
}

const HELP = `
Without --apply it only says what it would do. A removed task never runs; one
that runs is stopped, and what comes after it is skipped.

Examples:
  holdfast edit k7m2 --priority 8 --apply
  holdfast edit k7m2 --remove 3,7`;

export function defineEdit(program: HoldfastCommand, host: CommandHost): void {
  program
    .command("edit")
    .argument("<id>", "The execution, or the beginning of its id.")
    .description("Changes an execution while it runs: its priority, tasks that are not wanted any more.")
    .option("--priority <level>", "1 to 10, 10 most urgent.", wholeNumberOption("--priority", { min: 1, max: 10 }))
    .option("--remove <tasks>", "Numbers of tasks, with commas between them.", toNumbers)
    .option("--apply", "Does it.")
    .addOption(settingOption("broker", "address"))
    .option("--json", "Prints the changes as JSON.")
    .addHelpText("after", HELP)
    .action(async (id: string, flags: EditFlags) => host.finish(await edit(host.context, id, flags)));
}

async function edit(context: CliContext, id: string, flags: EditFlags): Promise<number> {
  const { out } = context;
  const { priority, remove, apply = false } = flags;
  if (priority === undefined && remove === undefined) {
    const expected = "--priority or --remove, which say what to change";
    throw new HoldfastError("INVALID_OPTION", { option: "The edit", value: "empty", expected });
  }
  const { executionId, changes } = await withBroker(context, flags, async ({ client }) => {
    const execution = await client.get(id);
    const wanted = await execution.edit({
      ...(priority === undefined ? {} : { priority }),
      ...(remove === undefined ? {} : { remove }),
    });
    return { executionId: execution.id, changes: apply ? await wanted.apply() : wanted.changes };
  });
  if (flags.json === true) {
    out.raw(`${JSON.stringify({ executionId, applied: apply, changes }, null, 2)}\n`);
    return 0;
  }
  const facts = factsOf(changes);
  const heading = `Execution ${executionId} ${apply ? "is edited" : "would be edited"}:`;
  const nothing = `Nothing of this is to be changed in execution ${executionId}: the tasks have ended.`;
  out.print(...sentence(out, facts.length === 0 ? nothing : heading));
  if (facts.length > 0) out.print(...factLines(out, facts));
  if (!apply && facts.length > 0) out.print(...sentence(out, "Nothing has been changed; --apply does it."));
  return 0;
}

function factsOf({ priority, removed, removedCount, skipped, skippedCount, ends }: EditChanges): [string, string][] {
  const tasks = removed.map(({ task, state }) => `${task} (${state})`);
  return [
    ...(priority === undefined ? [] : [["Priority", `${priority.from} → ${priority.to}`] satisfies [string, string]]),
    ...factOf("Removed", tasks, removedCount),
    ...factOf("Skipped", skipped.map(String), skippedCount),
    ...(ends === undefined ? [] : [["Ends", `the execution, which is ${ends} then`] satisfies [string, string]]),
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

function toNumbers(text: string): readonly number[] {
  const numbers = text.split(",").map((part) => part.trim());
  if (numbers.every((number) => /^\d{1,8}$/.test(number))) return numbers.map(Number);
  const expected = "numbers of tasks, such as 3,7";
  throw new HoldfastError("INVALID_OPTION", { option: "--remove", value: JSON.stringify(text), expected });
}
