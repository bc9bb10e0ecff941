/**
 * A few lines at the bottom of the terminal that are redrawn in place, with ordinary lines scrolling
 * above them.
 *
 * The region is erased before anything else is written and drawn again after it, so no half-drawn
 * state stays behind. Lines must not be wider than the terminal: a wrapped line would take two rows
 * and the erasing would miss one. Where the output is no terminal, `update` writes nothing.
 */
import type { Terminal } from "./terminal.ts";

const HIDE_CURSOR = "\u001b[?25l";
const SHOW_CURSOR = "\u001b[?25h";
const ERASE_TO_END = "\u001b[0J";

export interface LiveRegion {
  /** Replaces the region's lines. */
  update(lines: readonly string[]): void;
  /** Writes a line that stays, above the region. */
  print(line: string): void;
  /** Removes the region and gives the cursor back. Idempotent. */
  close(): void;
}

export function liveRegion(write: (text: string) => void, terminal: () => Terminal): LiveRegion {
  let shown: readonly string[] = [];
  let cursorHidden = false;
  const erase = (): string =>
    shown.length === 0 ? "" : `\r${shown.length > 1 ? `\u001b[${shown.length - 1}A` : ""}${ERASE_TO_END}`;
  const draw = (lines: readonly string[]): string => lines.join("\n");
  return {
    update(lines) {
      if (!terminal().interactive) return;
      if (lines.length === shown.length && lines.every((line, at) => line === shown[at])) return;
      const hide = cursorHidden ? "" : HIDE_CURSOR;
      cursorHidden = true;
      write(hide + erase() + draw(lines));
      shown = lines;
    },
    print(line) {
      write(`${erase()}${line}\n${draw(shown)}`);
    },
    close() {
      const show = cursorHidden ? SHOW_CURSOR : "";
      write(erase() + show);
      shown = [];
      cursorHidden = false;
    },
  };
}
