const NEWLINE = 10;

/**
 * Cuts a stream of bytes into lines and hands each over parsed.
 *
 * @throws SyntaxError (from `push`) when a line is no JSON; the reader must not be used after that.
 */
export class NdjsonReader<Message> {
  readonly #onMessage: (message: Message) => void;
  /** Bytes of a line whose end has not come yet. */
  #open: Buffer[] = [];

  constructor(onMessage: (message: Message) => void) {
    this.#onMessage = onMessage;
  }

  push(bytes: Buffer): void {
    const lastNewline = bytes.lastIndexOf(NEWLINE);
    if (lastNewline === -1) {
      this.#open.push(bytes);
      return;
    }
    const complete = bytes.subarray(0, lastNewline);
    const text =
      this.#open.length === 0 ? complete.toString("utf8") : Buffer.concat([...this.#open, complete]).toString("utf8");
    this.#open = lastNewline === bytes.length - 1 ? [] : [bytes.subarray(lastNewline + 1)];
    let from = 0;
    while (from < text.length) {
      const found = text.indexOf("\n", from);
      const to = found === -1 ? text.length : found;
      // JSON.stringify writes no newline, so a line is a message.
      if (to > from) this.#onMessage(JSON.parse(text.slice(from, to)) as Message);
      from = to + 1;
    }
  }
}
