/** The commands, put together. Nothing is printed or exited by the parser itself. */
import { CommanderError } from "commander";
import { defineApprove } from "./commands/approve.ts";
import { defineCancel } from "./commands/cancel.ts";
import { defineDeadLetters } from "./commands/dead-letters.ts";
import { defineDemo } from "./commands/demo.ts";
import { defineDoctor } from "./commands/doctor.ts";
import { defineEdit } from "./commands/edit.ts";
import { defineList } from "./commands/list.ts";
import { definePause } from "./commands/pause.ts";
import { definePools } from "./commands/pools.ts";
import { defineRerun } from "./commands/rerun.ts";
import { defineResults } from "./commands/results.ts";
import { defineResume } from "./commands/resume.ts";
import { defineRun } from "./commands/run.ts";
import { defineServer } from "./commands/server.ts";
import { defineSignal } from "./commands/signal.ts";
import { defineStatus } from "./commands/status.ts";
import { defineToken } from "./commands/token.ts";
import { defineUp } from "./commands/up.ts";
import { defineValidate } from "./commands/validate.ts";
import { defineWhy } from "./commands/why.ts";
import { defineWorker } from "./commands/worker.ts";
import type { CliContext, CommandHost } from "./context.ts";
import { HoldfastCommand } from "./holdfast-command.ts";
import { packageVersion } from "./version.ts";

/** Narrower than this, help is laid out as if it were this wide. */
const NARROWEST_HELP = 40;
const WIDEST_HELP = 100;

const EXAMPLES = `
Examples:
  holdfast demo --scale small --fault-demo   a sweep that survives a killed worker
  holdfast run sweep.ts --workers 4          run a module of yours on this machine
  holdfast up                                keep a broker, a server and workers running
  holdfast status                            what runs now

Exit codes: 0 done, 1 the work failed, 2 something was typed wrong, 3 the
surroundings are not right. HOLDFAST_DEBUG=1 prints stack traces.`;

const COMMANDS = [
  defineDemo,
  defineRun,
  defineValidate,
  defineUp,
  defineServer,
  defineWorker,
  defineStatus,
  defineList,
  defineResults,
  defineCancel,
  definePause,
  defineResume,
  defineSignal,
  defineApprove,
  defineEdit,
  defineRerun,
  defineWhy,
  defineDeadLetters,
  definePools,
  defineToken,
  defineDoctor,
];

/** Runs the command that the arguments name; resolves with its exit code. Errors are thrown as HoldfastErrors. */
export async function runProgram(args: readonly string[], context: CliContext): Promise<number> {
  let exitCode = 0;
  const program = defineProgram({ context, finish: (code) => (exitCode = code) });
  if (args.length === 0) {
    context.out.raw(program.helpInformation() + EXAMPLES + "\n");
    return 0;
  }
  try {
    await program.parseAsync([...args], { from: "user" });
  } catch (thrown) {
    // Help and the version were asked for, and printed.
    if (thrown instanceof CommanderError && thrown.exitCode === 0) return 0;
    throw thrown;
  }
  return exitCode;
}

export function defineProgram(host: CommandHost): HoldfastCommand {
  const { out } = host.context;
  const program = new HoldfastCommand("holdfast");
  program
    .description(
      "Runs work on many workers and does not let go of it: workers may die at any moment,\nevery task still ends, every result is committed exactly once.",
    )
    .usage("<command> [options]")
    .version(packageVersion(), "-v, --version", "Prints the version.")
    // Below a command with commands of its own (demo), what follows the name is for the inner one.
    .enablePositionalOptions()
    .helpOption("-h, --help", "Prints help.")
    .helpCommand("help [command]", "Prints help for a command.")
    .addHelpText("after", EXAMPLES)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => out.raw(text),
      // Errors are thrown (see HoldfastCommand) and reported in one place.
      writeErr: (text) => host.context.err.raw(text),
      getOutHelpWidth: () => Math.max(NARROWEST_HELP, Math.min(WIDEST_HELP, out.terminal.columns)),
      getOutHasColors: () => out.terminal.colour,
    });
  for (const define of COMMANDS) define(program, host);
  return program;
}
