import type { CliContext, CommandHost } from "../context.ts";
import { sentence } from "../execution-lines.ts";
import type { HoldfastCommand } from "../holdfast-command.ts";
import { settingOption } from "../options.ts";
import { counted } from "../terminal/figures.ts";
import { toTask } from "../to-task.ts";
import { withBroker } from "../with-broker.ts";

interface RerunFlags {
  readonly broker?: string;
  readonly json?: boolean;
}

interface Asked {
  readonly id: string;
  readonly node: string;
  readonly flags: RerunFlags;
}

const HELP = `
All that comes after the node loses its output and runs again, too; everything else
keeps its output. An execution that has ended runs again. What has failed and is to
be tried once more is replayed instead: \`holdfast dead-letters replay\`.

Examples:
  holdfast rerun k7m2 tests
  holdfast rerun k7m2 3`;

export function defineRerun(program: HoldfastCommand, host: CommandHost): void {
  program
    .command("rerun")
    .argument("<execution>", "The execution, or the beginning of its id.")
    .argument("<node>", "The id of a node of its workflow, or the number of a task.")
    .description("Runs a node, and all that comes after it, again.")
    .addOption(settingOption("broker", "address"))
    .option("--json", "Prints the answer as JSON.")
    .addHelpText("after", HELP)
    .action(async (id: string, node: string, flags: RerunFlags) =>
      host.finish(await rerun(host.context, { id, node, flags })),
    );
}

async function rerun(context: CliContext, { id, node, flags }: Asked): Promise<number> {
  const { out } = context;
  const { executionId, reset } = await withBroker(context, flags, async ({ broker, client }) => {
    const execution = await client.get(id);
    const task = await toTask({ broker, executionId: execution.id }, node);
    return { executionId: execution.id, ...(await execution.rerun(task)) };
  });
  if (flags.json === true) out.raw(`${JSON.stringify({ executionId, node, reset }, null, 2)}\n`);
  else
    out.print(
      ...sentence(out, `${counted(reset, "task")} of execution ${executionId} run${reset === 1 ? "s" : ""} again.`),
    );
  return 0;
}
