/**
 * Results as a stream of items: NDJSON and CSV, written as they are read and never held as a whole.
 *
 * A stream that breaks off (the server ends, the store fails) ends its connection without the last
 * chunk, so that its reader does not take a part for the whole.
 */
import { Readable } from "node:stream";
import type { Broker, ResultRow } from "../broker/contract.ts";
import { isPlainObject } from "../core/untrusted.ts";
import { HoldfastError } from "../errors/index.ts";
import { READ_WAIT_MS } from "../sdk/follow.ts";
import { orAborted } from "../util/or-aborted.ts";
import { JsonText, printJson, splitJsonArray } from "./reply-text.ts";

export interface ResultLines {
  readonly broker: Broker;
  readonly executionId: string;
  readonly cursor: number | undefined;
  /** Go on until the execution has ended. */
  readonly follow: boolean;
  readonly signal: AbortSignal;
}

interface Item {
  readonly task: number;
  /** Of an array. */
  readonly index?: number;
  /** JSON text. */
  readonly value: string;
  readonly worker: string;
  readonly attempt: number;
}

const ROWS_PER_PAGE = 100;
/** Columns of a CSV file; objects with more different fields are no table. */
const MAX_COLUMNS = 1_000;

export function ndjsonStream(lines: ResultLines): Readable {
  return Readable.from(ndjson(lines), { objectMode: false });
}

/**
 * Looks once through for the columns; what is committed after that is left for the next time.
 *
 * Errors: BATCH_TOO_LARGE for more columns than a table has, and those of the broker.
 */
export async function csvStream(lines: ResultLines): Promise<Readable> {
  return Readable.from(csv(lines, await outlineOf(lines)), { objectMode: false });
}

async function* ndjson(lines: ResultLines): AsyncGenerator<string, void> {
  for await (const rows of pages(lines)) {
    const text = rows.flatMap(itemsOf).map(({ value, ...rest }) => {
      const { worker, attempt, ...place } = rest;
      return `${printJson({ ...place, value: JsonText.known(value), worker, attempt })}\n`;
    });
    if (text.length > 0) yield text.join("");
  }
}

interface Outline {
  readonly columns: readonly string[];
  readonly rows: number;
}

async function outlineOf(lines: ResultLines): Promise<Outline> {
  const columns = new Set<string>();
  let count = 0;
  for await (const rows of pages(lines)) {
    count += rows.length;
    for (const { value } of rows.flatMap(itemsOf)) for (const column of cellsOf(value).keys()) columns.add(column);
    if (columns.size > MAX_COLUMNS) {
      throw new HoldfastError("BATCH_TOO_LARGE", {
        what: "columns (ask for ndjson)",
        count: columns.size,
        limit: MAX_COLUMNS,
      });
    }
  }
  return { columns: [...columns], rows: count };
}

async function* csv(lines: ResultLines, outline: Outline): AsyncGenerator<string, void> {
  yield csvLine(["task", "index", ...outline.columns.map(harmless)]);
  let rowsLeft = outline.rows;
  for await (const rows of pages({ ...lines, follow: false })) {
    const text = rows
      .slice(0, rowsLeft)
      .flatMap(itemsOf)
      .map(({ task, index, value }) => {
        const cells = cellsOf(value);
        const values = outline.columns.map((column) => cells.get(column) ?? "");
        return csvLine([String(task), String(index ?? ""), ...values]);
      });
    if (text.length > 0) yield text.join("");
    rowsLeft -= rows.length;
    if (rowsLeft <= 0) return;
  }
}

async function* pages(lines: ResultLines): AsyncGenerator<readonly ResultRow[], void> {
  const { broker, executionId, follow, signal } = lines;
  let { cursor } = lines;
  for (;;) {
    const page = await orAborted(
      broker.readResults({
        executionId,
        limit: ROWS_PER_PAGE,
        ...(cursor === undefined ? {} : { cursor }),
        ...(follow ? { waitMs: READ_WAIT_MS } : {}),
      }),
      signal,
    );
    yield page.rows;
    cursor = page.cursor;
    if (page.done || (!follow && page.rows.length === 0)) return;
  }
}

function itemsOf(row: ResultRow): Item[] {
  const { task, start, worker, attempt, result, values, missing = [] } = row;
  if (start === undefined)
    return result === undefined ? [] : [{ task, value: printJson(JsonText.of(result)), worker, attempt }];
  const failed = new Set(missing);
  return (splitJsonArray(values ?? "[]") ?? []).flatMap((value, offset) => {
    const index = start + offset;
    return failed.has(index) ? [] : [{ task, index, value, worker, attempt }];
  });
}

/** One column per field (`value.accuracy`, deeper ones with more dots); what is no object is one cell. */
function cellsOf(text: string): Map<string, string> {
  const cells = new Map<string, string>();
  addCells(cells, "value", JSON.parse(text, keepNumber));
  return cells;
}

/** A reviver: a number stays as it was written, where JavaScript would write another one. */
function keepNumber(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  const source = context?.source;
  return typeof value === "number" && source !== undefined && String(value) !== source ? JsonText.known(source) : value;
}

function addCells(cells: Map<string, string>, name: string, value: unknown): void {
  if (typeof value === "string") cells.set(name, harmless(value));
  else if (isPlainObject(value)) {
    for (const [field, part] of Object.entries(value)) addCells(cells, `${name}.${field}`, part);
  } else cells.set(name, printJson(value));
}

/** A spreadsheet runs a text that begins like a formula; after an apostrophe it does not. */
function harmless(text: string): string {
  return /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
}

/** RFC 4180. */
function csvLine(cells: readonly string[]): string {
  return `${cells.map((cell) => (/[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell)).join(",")}\r\n`;
}
