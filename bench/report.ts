/** Rows as a table for people. */
import type { Row } from "./measure.ts";

export function tableOf(rows: readonly Row[]): string {
  const cells = rows.map((row) => [
    row.measure,
    row.system,
    row.setting,
    figure(row.median),
    `${figure(row.min)} … ${figure(row.max)}`,
    row.unit,
    row.note ?? "",
  ]);
  const head = ["measure", "system", "setting", "median", "min … max", "unit", ""];
  const table = [head, ...cells];
  const widths = head.map((_, column) => Math.max(...table.map((line) => line[column]?.length ?? 0)));
  const isFigure = (column: number): boolean => column === 3 || column === 4;
  return table
    .map((line) =>
      line
        .map((cell, column) =>
          isFigure(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
        )
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** Three figures that count, with thousands set apart. */
function figure(value: number): string {
  const digits = value === 0 ? 0 : Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toLocaleString("en-US", { maximumFractionDigits: Math.min(6, digits) });
}
