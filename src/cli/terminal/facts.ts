/** `name  value` lines in two columns; on a narrow terminal a value wraps under itself. */
import type { Screen } from "./screen.ts";
import { padEnd, textWidth, wrap } from "./text-width.ts";

/** With less room than this beside the names, values go below them. */
const LEAST_VALUE_COLUMNS = 12;
const INDENT = "  ";

export function factLines(
  look: Pick<Screen, "terminal" | "theme">,
  facts: readonly (readonly [name: string, value: string])[],
): string[] {
  const nameWidth = Math.max(...facts.map(([name]) => textWidth(name)));
  const indent = " ".repeat(2 * INDENT.length + nameWidth);
  const room = look.terminal.columns - 1 - indent.length;
  return facts.flatMap(([name, value]) => {
    if (room < LEAST_VALUE_COLUMNS)
      return [
        look.theme.faint(name),
        ...wrap(value, look.terminal.columns - 1 - INDENT.length).map((line) => INDENT + line),
      ];
    const [first = "", ...rest] = wrap(value, room);
    return [
      `${INDENT}${look.theme.faint(padEnd(name, nameWidth))}${INDENT}${first}`,
      ...rest.map((line) => indent + line),
    ];
  });
}
