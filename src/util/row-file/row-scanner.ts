/**
 * Finds where rows begin and end in the bytes of a CSV or JSON lines file, in one pass and without
 * reading their content.
 *
 * A row ends at a line feed; in CSV not at one inside quotes. In valid CSV every quote opens or
 * closes (a doubled one does both), so counting them is enough, and where a file is not valid the
 * parser that reads the row says so. Lines of nothing but blanks are no rows. Bytes, not characters,
 * are looked at: in UTF-8 no part of another character looks like a line feed, a quote or a blank.
 */
export type RowFormat = "csv" | "jsonl";

/** A longer row is taken for a mistake: most likely a quote that was never closed. */
export const MAX_ROW_BYTES = 1_048_576;

const LINE_FEED = 0x0a;
const QUOTE = 0x22;
const SPACE = 0x20;

/** What the scanner found. Offsets are in bytes. */
export interface RowListener {
  /** A row from `start` to `end`, its line feed included. */
  row(start: number, end: number): void;
  /** The row at `start` is longer than MAX_ROW_BYTES. */
  tooLong(start: number): void;
}

export class RowScanner {
  readonly #quoted: boolean;
  readonly #listener: RowListener;
  #offset: number;
  #rowStart: number;
  #inQuotes = false;
  #blank = true;

  /** `offset`: where in the file the first pushed byte is. */
  constructor(format: RowFormat, listener: RowListener, offset = 0) {
    this.#quoted = format === "csv";
    this.#listener = listener;
    this.#offset = offset;
    this.#rowStart = offset;
  }

  push(bytes: Uint8Array): void {
    for (let place = 0; place < bytes.length; place += 1) {
      const byte = bytes[place] ?? 0;
      if (byte === LINE_FEED) {
        if (!this.#inQuotes) this.#endRow(this.#offset + place + 1);
      } else if (byte > SPACE) {
        this.#blank = false;
        if (byte === QUOTE && this.#quoted) this.#inQuotes = !this.#inQuotes;
      }
    }
    this.#offset += bytes.length;
    if (this.#offset - this.#rowStart > MAX_ROW_BYTES) this.#listener.tooLong(this.#rowStart);
  }

  /** The last row need not end with a line feed. */
  finish(): void {
    if (this.#offset > this.#rowStart) this.#endRow(this.#offset);
  }

  #endRow(end: number): void {
    if (!this.#blank) {
      if (end - this.#rowStart > MAX_ROW_BYTES) this.#listener.tooLong(this.#rowStart);
      this.#listener.row(this.#rowStart, end);
    }
    this.#rowStart = end;
    this.#blank = true;
  }
}

/** The rows of a piece of a file, each with its line feed. */
export function splitRows(bytes: Uint8Array, format: RowFormat): Uint8Array[] {
  const rows: Uint8Array[] = [];
  const scanner = new RowScanner(format, {
    row: (start, end) => rows.push(bytes.subarray(start, end)),
    tooLong: () => undefined,
  });
  scanner.push(bytes);
  scanner.finish();
  return rows;
}
