/**
 * One of a runner's output streams, cut into what each attempt wrote.
 *
 * Attempts that follow one another in a process share its stdout and stderr, and these pipes are
 * not in step with the wire. So the runner counts the bytes that user code writes through
 * `process.stdout` and `process.stderr` and sends the totals with every answer. An attempt's output
 * is complete when that many bytes have been read. The supervisor waits for them, but only shortly:
 * a process may die with bytes unwritten.
 *
 * Bytes that did not pass `process.stdout` (a child process that inherited it, `fs.writeSync(1)`)
 * are not counted. They go to the attempt during which they were read, and whenever the runner has
 * nothing else to do the two counts are brought into step again.
 *
 * Bounded: of an attempt's output the last MAX_OUTPUT_BYTES are kept.
 */
import { MAX_OUTPUT_BYTES } from "../broker/limits.ts";

/** Some attempts' output may be waiting to be told apart, so more than one share is kept. */
const MAX_RETAINED_BYTES = 4 * MAX_OUTPUT_BYTES;

export interface OutputCut {
  readonly text: string;
  readonly truncated: boolean;
}

const NOTHING: OutputCut = { text: "", truncated: false };

export class OutputTap {
  #chunks: Buffer[] = [];
  /** Position in the stream of the first retained byte, and of the end of what was read. */
  #retainedFrom = 0;
  #read = 0;
  /** Where the output of the attempt that ends next begins. */
  #boundary = 0;
  /** Bytes read so far that the runner has not counted. */
  #uncounted = 0;

  push(bytes: Buffer): void {
    this.#chunks.push(bytes);
    this.#read += bytes.length;
    for (let first = this.#chunks[0]; first !== undefined; first = this.#chunks[0]) {
      if (this.#read - this.#retainedFrom - first.length < MAX_RETAINED_BYTES) break;
      this.#retainedFrom += first.length;
      this.#chunks.shift();
    }
  }

  /** Whether everything up to the runner's count has been read. */
  hasRead(counted: number): boolean {
    return this.#read - this.#uncounted >= counted;
  }

  /**
   * The output of the attempt that ended at `counted`. `all`: no other attempt follows yet, so
   * everything that was read belongs to it.
   */
  cut(counted: number, all: boolean): OutputCut {
    const end = all ? this.#read : Math.min(this.#read, counted + this.#uncounted);
    if (all) this.#uncounted = Math.max(0, this.#read - counted);
    if (end <= this.#boundary) return NOTHING;
    const begin = Math.max(this.#boundary, this.#retainedFrom, end - MAX_OUTPUT_BYTES);
    const truncated = begin > this.#boundary;
    const text = this.#text(begin, end);
    this.#boundary = end;
    this.#release();
    return { text, truncated };
  }

  /** The last bytes read, whoever wrote them. */
  tail(maxBytes: number): string {
    return this.#text(Math.max(this.#retainedFrom, this.#read - maxBytes), this.#read);
  }

  #text(begin: number, end: number): string {
    const bytes = Buffer.concat(this.#chunks).subarray(begin - this.#retainedFrom, end - this.#retainedFrom);
    return bytes.subarray(firstWholeCharacter(bytes)).toString("utf8");
  }

  /** Lets go of chunks that belong to ended attempts. */
  #release(): void {
    for (let first = this.#chunks[0]; first !== undefined; first = this.#chunks[0]) {
      if (this.#retainedFrom + first.length > this.#boundary) break;
      this.#retainedFrom += first.length;
      this.#chunks.shift();
    }
  }
}

/** A cut may fall inside a UTF-8 character: its remaining bytes (10xxxxxx) are skipped. */
function firstWholeCharacter(bytes: Buffer): number {
  let index = 0;
  while (index < 3 && index < bytes.length && ((bytes[index] ?? 0) & 0xc0) === 0x80) index += 1;
  return index;
}
