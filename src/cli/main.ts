/**
 * The `holdfast` command: from arguments to an exit code.
 *
 * Exit codes: 0 done, 1 the work failed, 2 something was typed wrong, 3 the surroundings are not
 * right (store, runtime, network), 70 a fault of ours, 128 + n ended by signal n.
 */
import { HoldfastError } from "../errors/index.ts";
import type { CliContext } from "./context.ts";
import { type InterruptHandler, interruptExitCode, watchInterrupts } from "./interrupts.ts";
import { runProgram } from "./program.ts";
import { knownError, reportError } from "./report-error.ts";
import { systemClock } from "../util/clock.ts";
import { openScreen, type WritableOutput } from "./terminal/screen.ts";

/** Runs the command of this process and ends the process. */
export async function runCli(): Promise<void> {
  const interrupts = watchInterrupts((code) => process.exit(code));
  const context: CliContext = {
    out: openScreen(quietWhenClosed(process.stdout, interrupts), process.env),
    err: openScreen(quietWhenClosed(process.stderr, interrupts), process.env),
    clock: systemClock({ keepAlive: true }),
    environment: process.env,
    workingDirectory: process.cwd(),
    interrupts,
  };
  const code = await execute(process.argv.slice(2), context);
  await Promise.all([flushed(process.stdout), flushed(process.stderr)]);
  // Whatever a user's module or a library left open must not keep a finished command alive.
  process.exit(code);
}

/** Runs one command line and returns its exit code; errors are reported, never thrown. */
export async function execute(args: readonly string[], context: CliContext): Promise<number> {
  try {
    return await runProgram(args, context);
  } catch (thrown) {
    if (isInterrupt(thrown, context)) return interruptExitCode(context.interrupts.reason);
    return reportError(context.err, {
      error: knownError(thrown) ?? HoldfastError.from(thrown),
      json: wantsJson(args),
      environment: context.environment,
    });
  } finally {
    context.out.settle();
    context.err.settle();
  }
}

/** Commands whose answer is JSON on request; their errors are then, too. */
const ANSWERING_COMMANDS = new Set([
  "status",
  "list",
  "cancel",
  "pause",
  "resume",
  "signal",
  "approve",
  "edit",
  "validate",
  "doctor",
]);

function wantsJson(args: readonly string[]): boolean {
  return args.includes("--json") && ANSWERING_COMMANDS.has(args[0] ?? "");
}

function isInterrupt(thrown: unknown, context: CliContext): boolean {
  return context.interrupts.signal.aborted && thrown === context.interrupts.signal.reason;
}

/**
 * A reader that leaves (`holdfast results ID | head`) is no error: what is still written goes
 * nowhere, and the command is asked to end.
 */
function quietWhenClosed(stream: NodeJS.WriteStream, interrupts: InterruptHandler): WritableOutput {
  let closed = false;
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE" && error.code !== "ERR_STREAM_DESTROYED") throw error;
    closed = true;
    interrupts.interrupt("output closed");
  });
  return {
    get isTTY() {
      return stream.isTTY;
    },
    get columns() {
      return stream.columns;
    },
    write: (text) => closed || stream.write(text),
  };
}

function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    if (stream.destroyed || stream.writableLength === 0) resolve();
    else stream.write("", () => resolve());
  });
}
