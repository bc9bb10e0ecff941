import type { CliContext, CommandHost } from "../context.ts";
import type { ExecutionState } from "../../core/states.ts";
import { executionTable, sentence } from "../execution-lines.ts";
import type { HoldfastCommand } from "../holdfast-command.ts";
import { choiceOption, settingOption, wholeNumberOption } from "../options.ts";
import { withBroker } from "../with-broker.ts";

const STATES = [
  "pending",
  "running",
  "paused",
  "completed",
  "failed",
  "cancelled",
] as const satisfies readonly ExecutionState[];
const DEFAULT_LIMIT = 20;
const MOST_LISTED = 1_000;

interface ListFlags {
  readonly broker?: string;
  readonly state?: ExecutionState;
  readonly limit: number;
  readonly json?: boolean;
}

export function defineList(program: HoldfastCommand, host: CommandHost): void {
  program
    .command("list")
    .description("Lists executions, newest first.")
    .option("--state <state>", `Only those in this state: ${STATES.join(", ")}.`, choiceOption("--state", STATES))
    .option(
      "--limit <count>",
      "At most this many.",
      wholeNumberOption("--limit", { min: 1, max: MOST_LISTED }),
      DEFAULT_LIMIT,
    )
    .addOption(settingOption("broker", "address"))
    .option("--json", "Prints JSON.")
    .addHelpText("after", "\nExamples:\n  holdfast list\n  holdfast list --state running --json")
    .action(async (flags: ListFlags) => host.finish(await list(host.context, flags)));
}

async function list(context: CliContext, flags: ListFlags): Promise<number> {
  const { out } = context;
  const { executions, next } = await withBroker(context, flags, ({ client }) =>
    client.list({ limit: flags.limit, ...(flags.state === undefined ? {} : { states: [flags.state] }) }),
  );
  if (flags.json === true) {
    out.raw(`${JSON.stringify({ executions }, null, 2)}\n`);
    return 0;
  }
  if (executions.length === 0) {
    out.print(
      ...sentence(
        out,
        flags.state === undefined
          ? "There are no executions yet. Start one with: holdfast run FILE"
          : `No execution is ${flags.state}.`,
      ),
    );
    return 0;
  }
  out.print(...executionTable(out, executions, context.clock.now()));
  if (next !== undefined)
    out.print("", ...sentence(out, `There are more; see them with --limit ${flags.limit * 2}.`).map(out.theme.faint));
  return 0;
}
