/**
 * Columns of text. The widest column that may shrink gives way first; on a terminal too narrow for
 * a table each row becomes a short block of `name: value` lines.
 */
import type { Terminal } from "./terminal.ts";
import { cut, padEnd, padStart, textWidth } from "./text-width.ts";
import type { Theme } from "./theme.ts";

export interface Column {
  readonly title: string;
  readonly align?: "left" | "right";
  /** May be cut to this many cells when the table is too wide. Absent: never cut. */
  readonly shrinkTo?: number;
  /** Colours a cell after it was cut and padded; gets the bare text. */
  readonly paint?: (cell: string, bare: string) => string;
}

const GAP = "  ";

export function table(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  look: { readonly terminal: Terminal; readonly theme: Theme },
): string[] {
  const widths = fittingWidths(columns, rows, look.terminal.columns - 1);
  return widths === undefined ? blocks(columns, rows, look) : grid({ columns, rows, widths }, look.theme);
}

/** Natural widths, shrunk to fit; undefined if they cannot fit. */
function fittingWidths(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  room: number,
): number[] | undefined {
  const widths = columns.map((column, at) =>
    Math.max(textWidth(column.title), ...rows.map((row) => textWidth(row[at] ?? ""))),
  );
  const total = (): number => widths.reduce((sum, width) => sum + width, 0) + GAP.length * (columns.length - 1);
  while (total() > room) {
    const widest = widestShrinkable(columns, widths);
    if (widest === undefined) return undefined;
    const least = columns[widest]?.shrinkTo ?? 0;
    widths[widest] = Math.max(least, (widths[widest] as number) - Math.max(1, total() - room));
  }
  return widths;
}

function widestShrinkable(columns: readonly Column[], widths: readonly number[]): number | undefined {
  let widest: number | undefined;
  columns.forEach((column, at) => {
    const width = widths[at] as number;
    if (column.shrinkTo === undefined || width <= column.shrinkTo) return;
    if (widest === undefined || width > (widths[widest] as number)) widest = at;
  });
  return widest;
}

function grid(
  shape: {
    readonly columns: readonly Column[];
    readonly rows: readonly (readonly string[])[];
    readonly widths: readonly number[];
  },
  theme: Theme,
): string[] {
  const { columns, rows, widths } = shape;
  const cell = (text: string, at: number): string => {
    const width = widths[at] as number;
    const short = cut(text, width, theme.signs.ellipsis);
    return columns[at]?.align === "right" ? padStart(short, width) : padEnd(short, width);
  };
  const head = columns
    .map((column, at) => cell(column.title, at))
    .join(GAP)
    .trimEnd();
  const body = rows.map((row) =>
    columns
      .map((column, at) => {
        const bare = row[at] ?? "";
        return column.paint === undefined ? cell(bare, at) : column.paint(cell(bare, at), bare);
      })
      .join(GAP)
      .trimEnd(),
  );
  return [theme.faint(head), ...body];
}

function blocks(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  look: { readonly terminal: Terminal; readonly theme: Theme },
): string[] {
  const { terminal, theme } = look;
  const titleWidth = Math.max(...columns.map((column) => textWidth(column.title)));
  const room = Math.max(1, terminal.columns - 1 - titleWidth - GAP.length);
  return rows.flatMap((row, number) => [
    ...(number === 0 ? [] : [""]),
    ...columns.map((column, at) => {
      const bare = row[at] ?? "";
      const short = cut(bare, room, theme.signs.ellipsis);
      return (
        theme.faint(padEnd(column.title, titleWidth)) +
        GAP +
        (column.paint === undefined ? short : column.paint(short, bare))
      );
    }),
  ]);
}
