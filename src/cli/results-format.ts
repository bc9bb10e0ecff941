/** Results as data for other programs: JSON, JSON lines, CSV. Written as they come, never held as a whole. */
import type { Result } from "../sdk/results.ts";

export const RESULT_FORMATS = ["json", "ndjson", "csv"] as const;
export type ResultFormat = (typeof RESULT_FORMATS)[number];

type ResultStream = AsyncIterable<Result<unknown, unknown>>;

/** `results` may be asked for twice: CSV looks once through for its columns. */
export async function* formatResults(format: ResultFormat, results: () => ResultStream): AsyncGenerator<string, void> {
  switch (format) {
    case "json":
      yield* asJson(results());
      return;
    case "ndjson":
      for await (const result of results()) yield `${entryText(result)}\n`;
      return;
    case "csv":
      yield* asCsv(results);
  }
}

async function* asJson(results: ResultStream): AsyncGenerator<string, void> {
  let lead = "[\n  ";
  for await (const result of results) {
    yield lead + entryText(result);
    lead = ",\n  ";
  }
  yield lead.startsWith("[") ? "[]\n" : "\n]\n";
}

function entryText({ index, point, value }: Result<unknown, unknown>): string {
  return JSON.stringify({ index, point, value });
}

/** Objects become one column per field (`point.k`, `value.accuracy`, deeper ones with more dots); all else is one cell. */
async function* asCsv(results: () => ResultStream): AsyncGenerator<string, void> {
  const columns = new Set<string>();
  for await (const result of results()) for (const column of cellsOf(result).keys()) columns.add(column);
  const header = ["index", ...columns];
  yield csvLine(header);
  for await (const result of results()) {
    const cells = cellsOf(result);
    yield csvLine([String(result.index), ...[...columns].map((column) => cells.get(column) ?? "")]);
  }
}

function cellsOf({ point, value }: Result<unknown, unknown>): Map<string, string> {
  const cells = new Map<string, string>();
  addCells(cells, "point", point);
  addCells(cells, "value", value);
  return cells;
}

function addCells(cells: Map<string, string>, name: string, value: unknown): void {
  if (value === undefined) return;
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    for (const [field, part] of Object.entries(value)) addCells(cells, `${name}.${field}`, part);
  } else {
    cells.set(name, typeof value === "string" ? value : JSON.stringify(value));
  }
}

/** RFC 4180. */
function csvLine(cells: readonly string[]): string {
  return `${cells.map((cell) => (/[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell)).join(",")}\r\n`;
}
