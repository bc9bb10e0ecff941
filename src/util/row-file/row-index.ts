/**
 * The index of a parameter file: where its rows begin, and what its content was.
 *
 * One pass over the file finds both. The index keeps every row's offset while there are few; when
 * it is full it forgets every second one, so that its size never exceeds MAX_ENTRIES numbers and
 * finding a row of a file with 10⁷ rows means reading about a hundred of them.
 */
import { createHash } from "node:crypto";
import { readSync } from "node:fs";
import { HoldfastError } from "../../errors/index.ts";
import { type RowFormat, RowScanner } from "./row-scanner.ts";

const READ_BYTES = 1_048_576;
const MAX_ENTRIES = 131_072;
const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);

export interface RowIndex {
  readonly rows: number;
  readonly bytes: number;
  readonly sha256: string;
  /** Rows from one entry of `offsets` to the next, a power of two. */
  readonly stride: number;
  /** Where rows 0, stride, 2·stride … begin. */
  readonly offsets: Float64Array;
  /** CSV: where the header is. */
  readonly header?: { readonly start: number; readonly end: number };
}

export interface OpenedFile {
  readonly descriptor: number;
  readonly path: string;
  readonly format: RowFormat;
}

/** Builds the index; every step reads one block and may be followed by a pause. */
export function* indexSteps({ descriptor, path, format }: OpenedFile): Generator<void, RowIndex> {
  const builder = new IndexBuilder(path, format);
  const hash = createHash("sha256");
  const block = Buffer.allocUnsafe(READ_BYTES);
  let scanner: RowScanner | undefined;
  let bytes = 0;
  for (;;) {
    const length = readSync(descriptor, block, 0, READ_BYTES, bytes);
    if (length === 0) break;
    const read = block.subarray(0, length);
    hash.update(read);
    if (scanner === undefined) {
      refuseOtherEncodings(path, read);
      const skipped = read.subarray(0, 3).equals(BYTE_ORDER_MARK) ? 3 : 0;
      scanner = new RowScanner(format, builder, skipped);
      scanner.push(read.subarray(skipped));
    } else scanner.push(read);
    bytes += length;
    yield;
  }
  scanner?.finish();
  return builder.build(bytes, hash.digest("hex"));
}

class IndexBuilder {
  readonly #path: string;
  #headerPending: boolean;
  #header: { readonly start: number; readonly end: number } | undefined;
  #rows = 0;
  #stride = 1;
  #offsets: number[] = [];

  constructor(path: string, format: RowFormat) {
    this.#path = path;
    this.#headerPending = format === "csv";
  }

  row(start: number, end: number): void {
    if (this.#headerPending) {
      this.#headerPending = false;
      this.#header = { start, end };
      return;
    }
    if (this.#rows % this.#stride === 0) {
      if (this.#offsets.length === MAX_ENTRIES) {
        this.#offsets = this.#offsets.filter((_, entry) => entry % 2 === 0);
        this.#stride *= 2;
      }
      this.#offsets.push(start);
    }
    this.#rows += 1;
  }

  tooLong(): never {
    const problem = "is longer than 1 MiB; is a quote left open?";
    if (this.#headerPending)
      throw new HoldfastError("PARAMETER_FILE_UNUSABLE", { file: this.#path, problem: `its header ${problem}` });
    throw new HoldfastError("INVALID_PARAMETER_FILE", { file: this.#path, row: this.#rows + 1, problem });
  }

  build(bytes: number, sha256: string): RowIndex {
    const { rows, stride } = { rows: this.#rows, stride: this.#stride };
    const header = this.#header === undefined ? {} : { header: this.#header };
    return { rows, bytes, sha256, stride, offsets: Float64Array.from(this.#offsets), ...header };
  }
}

function refuseOtherEncodings(file: string, start: Uint8Array): void {
  const mark = `${start[0] ?? 0},${start[1] ?? 0}`;
  if (mark === "255,254" || mark === "254,255")
    throw new HoldfastError("PARAMETER_FILE_UNUSABLE", { file, problem: "it is UTF-16 text; save it as UTF-8" });
  if (start.includes(0)) throw new HoldfastError("PARAMETER_FILE_UNUSABLE", { file, problem: "it is not a text file" });
}
