/** Colours by meaning and signs by role, so that no screen names a colour or a character itself. */
import { styleText } from "node:util";
import type { Terminal } from "./terminal.ts";

type Paint = (text: string) => string;

export interface Theme {
  readonly good: Paint;
  readonly bad: Paint;
  readonly warning: Paint;
  readonly title: Paint;
  readonly strong: Paint;
  readonly faint: Paint;
  readonly active: Paint;
  readonly signs: Signs;
}

export interface Signs {
  readonly check: string;
  readonly cross: string;
  readonly bolt: string;
  readonly arrow: string;
  readonly dot: string;
  readonly times: string;
  readonly ellipsis: string;
  readonly dash: string;
  readonly barFull: string;
  readonly barEmpty: string;
  readonly rule: string;
  readonly box: BoxSigns;
}

export interface BoxSigns {
  readonly topLeft: string;
  readonly topRight: string;
  readonly bottomLeft: string;
  readonly bottomRight: string;
  readonly across: string;
  readonly down: string;
}

const UNICODE_SIGNS: Signs = {
  check: "✓",
  cross: "✗",
  bolt: "⚡",
  arrow: "→",
  dot: "·",
  times: "×",
  ellipsis: "…",
  dash: "–",
  barFull: "█",
  barEmpty: "░",
  rule: "─",
  box: { topLeft: "╭", topRight: "╮", bottomLeft: "╰", bottomRight: "╯", across: "─", down: "│" },
};

const ASCII_SIGNS: Signs = {
  check: "[ok]",
  cross: "[x]",
  bolt: "!",
  arrow: "->",
  dot: "-",
  times: "x",
  ellipsis: "...",
  dash: "-",
  barFull: "#",
  barEmpty: ".",
  rule: "-",
  box: { topLeft: "+", topRight: "+", bottomLeft: "+", bottomRight: "+", across: "-", down: "|" },
};

export function themeFor(terminal: Pick<Terminal, "colour" | "unicode">): Theme {
  return {
    good: paint(terminal, "green"),
    bad: paint(terminal, "red"),
    warning: paint(terminal, "yellow"),
    title: paint(terminal, ["bold", "cyan"]),
    strong: paint(terminal, "bold"),
    faint: paint(terminal, "dim"),
    active: paint(terminal, "cyan"),
    signs: terminal.unicode ? UNICODE_SIGNS : ASCII_SIGNS,
  };
}

function paint(terminal: Pick<Terminal, "colour">, format: Parameters<typeof styleText>[0]): Paint {
  // Whether to colour is decided by `detectTerminal`; styleText must not ask the stream again.
  return terminal.colour ? (text) => styleText(format, text, { validateStream: false }) : (text) => text;
}
