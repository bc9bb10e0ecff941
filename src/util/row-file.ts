/**
 * Parameter files: the rows of a CSV or JSON lines file by number.
 *
 * CSV (RFC 4180, UTF-8, with or without a byte order mark, either line end): the first row names the
 * columns and each further row becomes an object; quoted cells may hold commas, quotes and line
 * breaks; blanks around cells do not count. See `cellValue` for what becomes a number. JSON lines:
 * each line is one value. In both, blank lines are no rows.
 *
 * A file is read twice in its life. Whoever submits calls `scanRowFile`, which checks every row and
 * describes the file. Whoever runs calls `openRowFile` with that description; it refuses the file
 * when its content is no longer the same, because then row i would be another point. A runner that
 * dies leaves nothing behind: the index is rebuilt from the file.
 */
import { closeSync, fstatSync, openSync, readSync, type Stats } from "node:fs";
import path from "node:path";
import { HoldfastError } from "../errors/index.ts";
import { indexSteps, type OpenedFile, type RowIndex } from "./row-file/row-index.ts";
import { type Page, pageReader, type ReadPage, RowProblem } from "./row-file/row-reading.ts";
import { type RowFormat, splitRows } from "./row-file/row-scanner.ts";

export type { RowFormat } from "./row-file/row-scanner.ts";

/** A parameter file as it was when it was scanned. */
export interface RowFileDescription {
  /** Absolute. */
  readonly path: string;
  readonly format: RowFormat;
  readonly rows: number;
  readonly bytes: number;
  /** Of the content, lower-case hexadecimal. */
  readonly sha256: string;
}

/** Rows read together: enough to make parsing cheap, few enough to keep a jump quick. */
const MAX_PAGE_ROWS = 64;
const PAGE_BYTES = 65_536;

const FORMATS: Readonly<Record<string, RowFormat>> = { ".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl" };

/**
 * Reads a whole parameter file, checks every row, and describes it. Lets other work of the process
 * go on meanwhile.
 *
 * @throws HoldfastError PARAMETER_FILE_UNUSABLE, INVALID_PARAMETER_FILE with the row (1 is the first
 * below the header), PARAMETER_FILE_CHANGED when somebody writes to it at the same time.
 */
export async function scanRowFile(
  file: string,
  options: { readonly format?: RowFormat } = {},
): Promise<RowFileDescription> {
  const absolute = path.resolve(file);
  const format = options.format ?? FORMATS[path.extname(absolute).toLowerCase()];
  if (format === undefined)
    throw unusable(absolute, "its name ends neither in .csv nor in .jsonl; say which format it has");
  const opened = open(absolute, format);
  try {
    const index = await runWithPauses(indexSteps(opened));
    if (index.rows === 0)
      throw unusable(absolute, format === "csv" ? "it has no rows below its header" : "it has no rows");
    const rows = new RowFile(opened, index);
    await runWithPauses(rows.checkSteps());
    return { path: absolute, format, rows: index.rows, bytes: index.bytes, sha256: index.sha256 };
  } finally {
    closeSync(opened.descriptor);
  }
}

/**
 * Opens a described file for reading. Close it when done.
 *
 * @throws HoldfastError PARAMETER_FILE_UNUSABLE, PARAMETER_FILE_CHANGED.
 */
export function openRowFile(description: RowFileDescription): RowFile {
  const opened = open(description.path, description.format);
  try {
    if (fstatSync(opened.descriptor).size !== description.bytes) throw changed(description.path);
    const index = run(indexSteps(opened));
    if (index.sha256 !== description.sha256 || index.rows !== description.rows) throw changed(description.path);
    return new RowFile(opened, index);
  } catch (thrown) {
    closeSync(opened.descriptor);
    throw thrown;
  }
}

/** The rows of an open parameter file. Reading on from a row is cheap; jumping costs one short read. */
export class RowFile {
  readonly length: number;
  readonly #file: OpenedFile;
  readonly #index: RowIndex;
  readonly #readPage: ReadPage;
  readonly #pageRows: number;
  readonly #modifiedMs: number;
  #page: Page | undefined;
  #pageNumber = -1;

  constructor(file: OpenedFile, index: RowIndex) {
    this.length = index.rows;
    this.#file = file;
    this.#index = index;
    this.#modifiedMs = fstatSync(file.descriptor).mtimeMs;
    this.#pageRows = Math.max(index.stride, fittingRows(index));
    this.#readPage = this.#openHeader();
  }

  /**
   * The value of row `row`, 0 the first; a fresh one at every call.
   *
   * @throws HoldfastError INVALID_PARAMETER_FILE, PARAMETER_FILE_CHANGED.
   */
  row(row: number): unknown {
    const number = Math.floor(row / this.#pageRows);
    const page = number === this.#pageNumber && this.#page !== undefined ? this.#page : this.#load(number);
    try {
      return page.value(row - number * this.#pageRows);
    } catch (thrown) {
      throw this.#invalid(row, thrown);
    }
  }

  close(): void {
    closeSync(this.#file.descriptor);
  }

  /** Reads every row once; every step is one page. */
  *checkSteps(): Generator<void, void> {
    for (let row = 0; row < this.length; row += 1) {
      this.row(row);
      if (row % this.#pageRows === 0) yield;
    }
  }

  #load(number: number): Page {
    const bytes = this.#pageBytes(number);
    const first = number * this.#pageRows;
    const expected = Math.min(this.#pageRows, this.length - first);
    let page: Page | undefined;
    try {
      page = this.#readPage(bytes);
    } catch (thrown) {
      if (!(thrown instanceof RowProblem)) throw thrown;
    }
    if (page?.rows !== expected) throw this.#firstDamage(bytes, first);
    this.#page = page;
    this.#pageNumber = number;
    return page;
  }

  /** Reading a page failed: reads its rows one by one to find the first that is damaged. */
  #firstDamage(bytes: Uint8Array, first: number): HoldfastError {
    for (const [place, row] of splitRows(bytes, this.#file.format).entries()) {
      try {
        const read = this.#readPage(row);
        if (read.rows !== 1) throw new RowProblem(`reads as ${read.rows} rows`);
      } catch (thrown) {
        return this.#invalid(first + place, thrown);
      }
    }
    return this.#invalid(first, new RowProblem("cannot be told from the rows around it"));
  }

  #pageBytes(number: number): Uint8Array {
    const { offsets, stride, bytes } = this.#index;
    const entry = (number * this.#pageRows) / stride;
    const start = offsets[entry] ?? 0;
    return this.#read(start, offsets[entry + this.#pageRows / stride] ?? bytes);
  }

  #read(start: number, end: number): Uint8Array {
    const { descriptor, path: file } = this.#file;
    const stat = fstatSync(descriptor);
    if (stat.mtimeMs !== this.#modifiedMs || stat.size !== this.#index.bytes) throw changed(file);
    const bytes = Buffer.allocUnsafe(end - start);
    if (readSync(descriptor, bytes, 0, bytes.length, start) !== bytes.length) throw changed(file);
    return bytes;
  }

  #openHeader(): ReadPage {
    const { header } = this.#index;
    try {
      return pageReader(this.#file.format, header === undefined ? undefined : this.#read(header.start, header.end));
    } catch (thrown) {
      if (thrown instanceof RowProblem) throw unusable(this.#file.path, `its header ${thrown.message}`);
      throw thrown;
    }
  }

  #invalid(row: number, thrown: unknown): HoldfastError {
    if (!(thrown instanceof RowProblem)) return HoldfastError.from(thrown);
    return new HoldfastError(
      "INVALID_PARAMETER_FILE",
      { file: this.#file.path, row: row + 1, problem: thrown.message },
      { cause: thrown },
    );
  }
}

/** Rows of a page that stay within PAGE_BYTES if they are of average size; a power of two. */
function fittingRows(index: RowIndex): number {
  const average = index.bytes / Math.max(1, index.rows);
  return 2 ** Math.floor(Math.log2(Math.max(1, Math.min(MAX_PAGE_ROWS, PAGE_BYTES / average))));
}

function open(file: string, format: RowFormat): OpenedFile {
  let descriptor: number | undefined;
  let stat: Stats;
  try {
    descriptor = openSync(file, "r");
    stat = fstatSync(descriptor);
  } catch (thrown) {
    if (descriptor !== undefined) closeSync(descriptor);
    throw unusable(file, OPEN_PROBLEMS[(thrown as NodeJS.ErrnoException).code ?? ""] ?? String(thrown), thrown);
  }
  if (stat.isFile()) return { descriptor, path: file, format };
  closeSync(descriptor);
  throw unusable(file, "it is not a regular file");
}

const OPEN_PROBLEMS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file on this machine",
  EACCES: "this user may not read it",
};

function unusable(file: string, problem: string, cause?: unknown): HoldfastError {
  return new HoldfastError("PARAMETER_FILE_UNUSABLE", { file, problem }, { cause });
}

function changed(file: string): HoldfastError {
  return new HoldfastError("PARAMETER_FILE_CHANGED", { file });
}

function run<Result>(steps: Generator<void, Result>): Result {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** Between two steps the process serves whatever else is waiting, its heartbeats above all. */
async function runWithPauses<Result>(steps: Generator<void, Result>): Promise<Result> {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
  }
}
