/**
 * How an error reaches a person: one sentence and its code on standard error. As JSON when the
 * command was asked for JSON. With HOLDFAST_DEBUG set, the stack follows.
 */
import { HoldfastError } from "../errors/index.ts";
import type { Screen } from "./terminal/screen.ts";
import type { Environment } from "./terminal/terminal.ts";
import { printable, wrap } from "./terminal/text-width.ts";

export interface ErrorReport {
  readonly error: HoldfastError;
  readonly json: boolean;
  readonly environment: Environment;
}

/** A HoldfastError of this copy of the package, or the same thing from the copy that a user's module imports. */
export function knownError(thrown: unknown): HoldfastError | undefined {
  if (HoldfastError.is(thrown)) return thrown;
  if (!(thrown instanceof Error) || thrown.name !== "HoldfastError") return undefined;
  const { code, details } = thrown as Partial<HoldfastError>;
  return code === undefined ? undefined : HoldfastError.fromWire({ code, details: details ?? {} });
}

/** Prints the error and returns the exit code. */
export function reportError(screen: Screen, report: ErrorReport): number {
  const { error } = report;
  screen.settle();
  if (report.json) {
    screen.raw(`${JSON.stringify({ error: { code: error.code, message: error.message, details: error.details } })}\n`);
  } else {
    for (const line of errorLines(error, screen)) screen.print(line);
  }
  if (wantsStack(report.environment)) screen.print(...stackLines(error));
  return error.exitCode;
}

export function errorLines(error: HoldfastError, screen: Pick<Screen, "terminal" | "theme">): string[] {
  // A message may be a list, one problem per line; whatever a person wrote into it is made printable.
  const message = error.message.split("\n").map((line, at) => (at === 0 ? "" : "  ") + printable(line));
  const text = message.flatMap((line, at) =>
    wrap(
      `${at === 0 ? "error: " : ""}${line}${at === message.length - 1 ? ` [${error.code}]` : ""}`,
      screen.terminal.columns - 1,
    ),
  );
  return text.map((line) =>
    line
      .replace(/^error:/, (word) => screen.theme.bad(word))
      .replace(`[${error.code}]`, (code) => screen.theme.faint(code)),
  );
}

function wantsStack(environment: Environment): boolean {
  const value = environment["HOLDFAST_DEBUG"];
  return value !== undefined && value !== "" && value !== "0";
}

function stackLines(error: HoldfastError): string[] {
  const lines = [error.stack ?? ""];
  for (let cause = error.cause; cause instanceof Error; cause = cause.cause)
    lines.push(`caused by ${cause.stack ?? cause.message}`);
  return lines;
}
