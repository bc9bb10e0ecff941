/** A frame around a few lines: the demo's verdict. */
import type { Terminal } from "./terminal.ts";
import { padEnd, textWidth, wrap } from "./text-width.ts";
import type { Theme } from "./theme.ts";

const WIDEST_BOX = 76;
const PADDING = 2;

/** `lines` are unstyled; `paint` colours text and frame. */
export function box(
  lines: readonly string[],
  options: { readonly terminal: Terminal; readonly theme: Theme; readonly paint: (text: string) => string },
): string[] {
  const { terminal, theme, paint } = options;
  const signs = theme.signs.box;
  const frame = 2 * (1 + PADDING);
  const room = Math.min(WIDEST_BOX, terminal.columns - 1) - frame;
  const content = lines.flatMap((line) => wrap(line, room));
  const inner = Math.max(...content.map(textWidth)) + 2 * PADDING;
  const edge = (left: string, right: string): string => paint(left + signs.across.repeat(inner) + right);
  const gap = " ".repeat(PADDING);
  return [
    edge(signs.topLeft, signs.topRight),
    ...content.map((line) => paint(signs.down + gap + padEnd(line, inner - 2 * PADDING) + gap + signs.down)),
    edge(signs.bottomLeft, signs.bottomRight),
  ];
}
