/** One output stream with what it can show: what commands print to. */
import { liveRegion } from "./live-region.ts";
import { detectTerminal, type Environment, type OutputStream, type Terminal } from "./terminal.ts";
import { type Theme, themeFor } from "./theme.ts";

export interface WritableOutput extends OutputStream {
  write(text: string): unknown;
}

export interface Screen {
  /** As it is now: a window may be resized at any time. */
  readonly terminal: Terminal;
  readonly theme: Theme;
  /** Writes lines that stay. */
  print(...lines: readonly string[]): void;
  /** Replaces the lines that are redrawn in place. Without effect where nobody watches. */
  live(lines: readonly string[]): void;
  /** Removes the live lines and gives the cursor back. Idempotent. */
  settle(): void;
  /** Writes as it is: data for programs. */
  raw(text: string): void;
}

export function openScreen(stream: WritableOutput, environment: Environment): Screen {
  const terminal = (): Terminal => detectTerminal(stream, environment);
  const theme = themeFor(terminal());
  const write = (text: string): void => {
    if (text !== "") stream.write(text);
  };
  const region = liveRegion(write, terminal);
  return {
    get terminal() {
      return terminal();
    },
    theme,
    print: (...lines) => {
      for (const line of lines) region.print(line);
    },
    live: (lines) => region.update(lines),
    settle: () => region.close(),
    raw: write,
  };
}
