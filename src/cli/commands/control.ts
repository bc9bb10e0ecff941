/** cancel, pause, resume: one call each, so one shape for all three. */
import type { CliContext, CommandHost } from "../context.ts";
import { sentence } from "../execution-lines.ts";
import type { HoldfastCommand } from "../holdfast-command.ts";
import { settingOption } from "../options.ts";
import { count } from "../terminal/figures.ts";
import type { Execution } from "../../sdk/execution.ts";
import type { ExecutionStatus } from "../../sdk/progress.ts";
import { withBroker } from "../with-broker.ts";

export interface ControlFlags {
  readonly broker?: string;
  readonly json?: boolean;
  readonly reason?: string;
}

export interface ControlVerb {
  readonly name: "cancel" | "pause" | "resume";
  readonly about: string;
  /** Completes "Execution ID …". */
  readonly outcome: (view: ExecutionStatus) => string;
  readonly call: (execution: Execution, flags: ControlFlags) => Promise<ExecutionStatus>;
}

/** Defines the command of a verb; the caller may add options of its own. */
export function defineControl(program: HoldfastCommand, host: CommandHost, verb: ControlVerb): HoldfastCommand {
  return program
    .command(verb.name)
    .argument("<id>", "The execution, or the beginning of its id.")
    .description(verb.about)
    .addOption(settingOption("broker", "address"))
    .option("--json", "Prints the execution as JSON.")
    .addHelpText("after", `\nExample:\n  holdfast ${verb.name} k7m2`)
    .action(async (id: string, flags: ControlFlags) => host.finish(await control(host.context, { verb, id, flags })));
}

async function control(
  context: CliContext,
  params: { readonly verb: ControlVerb; readonly id: string; readonly flags: ControlFlags },
): Promise<number> {
  const { verb, id, flags } = params;
  const { out } = context;
  const view = await withBroker(context, flags, async ({ client }) => verb.call(await client.get(id), flags));
  if (flags.json === true) out.raw(`${JSON.stringify({ execution: view }, null, 2)}\n`);
  else out.print(...sentence(out, `Execution ${view.executionId} ${verb.outcome(view)}`));
  return 0;
}

/** `120 of 1,000 done`. */
export function doneOf(view: ExecutionStatus): string {
  return `${count(view.counters.completed)} of ${count(view.counters.total)} done`;
}
