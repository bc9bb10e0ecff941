/** What a command may use of the process around it. Tests bring their own. */
import { loadSettings, type SettingName, type Settings } from "../config/index.ts";
import type { Clock } from "../util/clock.ts";
import type { Interrupts } from "./interrupts.ts";
import type { Screen } from "./terminal/screen.ts";
import type { Environment } from "./terminal/terminal.ts";

export interface CliContext {
  /** Answers, and data for programs. */
  readonly out: Screen;
  /** Errors, and what is told about work while the answer goes to `out`. */
  readonly err: Screen;
  readonly clock: Clock;
  readonly environment: Environment;
  readonly workingDirectory: string;
  readonly interrupts: Interrupts;
}

/** Variables that the command line itself reads and that are no settings. */
export const CLI_VARIABLES = ["HOLDFAST_DEBUG"] as const;

/** Settings of a command: defaults, settings file, environment, then the flags it was given. */
export function settingsOf(context: CliContext, flags: Readonly<Partial<Record<SettingName, unknown>>>): Settings {
  const env = Object.fromEntries(
    Object.entries(context.environment).filter(([name]) => !(CLI_VARIABLES as readonly string[]).includes(name)),
  );
  return loadSettings({ flags, env, cwd: context.workingDirectory });
}

/** What the definition of a command needs: its surroundings, and where its exit code goes. */
export interface CommandHost {
  readonly context: CliContext;
  readonly finish: (exitCode: number) => void;
}
