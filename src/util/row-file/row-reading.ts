/** Reads rows out of their bytes: what a CSV cell or a JSON line means. */
import { parse } from "csv-parse/sync";
import { type RowFormat, splitRows } from "./row-scanner.ts";

/** Rows that lie next to each other in a file, read but not yet turned into values. */
export interface Page {
  readonly rows: number;
  /** The value of a row, fresh at every call. Throws a RowProblem. */
  value(place: number): unknown;
}

/** What is wrong with a row, as the end of a sentence about it. */
export class RowProblem extends Error {
  override readonly name = "RowProblem";
}

/** Turns the bytes of consecutive rows into a page. Throws a RowProblem when one of them is damaged. */
export type ReadPage = (bytes: Uint8Array) => Page;

export function pageReader(format: RowFormat, header: Uint8Array | undefined): ReadPage {
  return format === "jsonl" ? readJsonLines : csvReader(csvNames(header ?? new Uint8Array()));
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function decode(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch (thrown) {
    throw new RowProblem("is not valid UTF-8 text", { cause: thrown });
  }
}

function readJsonLines(bytes: Uint8Array): Page {
  const lines = splitRows(bytes, "jsonl").map(decode);
  return {
    rows: lines.length,
    value: (place) => {
      try {
        return JSON.parse(lines[place] ?? "") as unknown;
      } catch (thrown) {
        throw new RowProblem(`is not JSON: ${thrown instanceof Error ? thrown.message : String(thrown)}`, {
          cause: thrown,
        });
      }
    },
  };
}

function csvReader(names: readonly string[]): ReadPage {
  return (bytes) => {
    const records = parseCsv(decode(bytes));
    return {
      rows: records.length,
      value: (place) => {
        const cells = records[place] ?? [];
        if (cells.length !== names.length) {
          throw new RowProblem(
            `has ${cells.length} cell${cells.length === 1 ? "" : "s"}; the header names ${names.length}`,
          );
        }
        const row: Record<string, unknown> = {};
        for (let column = 0; column < names.length; column += 1)
          row[names[column] ?? ""] = cellValue(cells[column] ?? "");
        return row;
      },
    };
  };
}

function csvNames(header: Uint8Array): readonly string[] {
  const names = parseCsv(decode(header))[0] ?? [];
  const seen = new Set<string>();
  for (const name of names) {
    if (name === "" || name === "__proto__")
      throw new RowProblem(`names a column ${JSON.stringify(name)}; every column needs a name of its own`);
    if (seen.has(name)) throw new RowProblem(`names two columns ${name}; every column needs a name of its own`);
    seen.add(name);
  }
  return names;
}

const PROBLEMS: Readonly<Record<string, string>> = {
  CSV_INVALID_CLOSING_QUOTE: "has text after a closing quote",
  CSV_NON_TRIMABLE_CHAR_AFTER_CLOSING_QUOTE: "has text after a closing quote",
  INVALID_OPENING_QUOTE: 'has a quote inside a cell; put the whole cell into quotes and double the inner ones ("")',
  CSV_QUOTE_NOT_CLOSED: "opens a quote that is never closed",
};

function parseCsv(text: string): string[][] {
  try {
    return parse(text, { recordDelimiter: ["\r\n", "\n"], relaxColumnCount: true, skipEmptyLines: true, trim: true });
  } catch (thrown) {
    const { code, message } = thrown as { readonly code?: string; readonly message: string };
    throw new RowProblem(PROBLEMS[code ?? ""] ?? message, { cause: thrown });
  }
}

const NUMBER = /^[+-]?(?:(?:0|[1-9]\d*)(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?$/i;
const WHOLE = /^[+-]?\d+$/;

/**
 * The value of a CSV cell, quoted or not. An empty cell is null; `true` and `false` in any case are
 * truth values; what looks like a decimal number is one. Text stays text, and so do numbers that
 * would change: with leading zeros (`007`), whole ones beyond ±2⁵³, and those too large for a double.
 */
export function cellValue(cell: string): string | number | boolean | null {
  if (cell === "") return null;
  const first = cell.charCodeAt(0);
  // Most texts start with a letter: they need no look at the patterns.
  const mayBeNumber = first < 58;
  if (mayBeNumber && NUMBER.test(cell)) {
    const value = Number(cell);
    const kept = WHOLE.test(cell) ? Number.isSafeInteger(value) : Number.isFinite(value);
    // −0 would not survive a journey as JSON.
    return kept ? value || 0 : cell;
  }
  if (cell.length === 4 && cell.toLowerCase() === "true") return true;
  return cell.length === 5 && cell.toLowerCase() === "false" ? false : cell;
}
