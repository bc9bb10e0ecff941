/** Counts the bytes that pass process.stdout and process.stderr, so that the supervisor can tell attempts apart (output-tap.ts). */
export class OutputCount {
  #out = 0;
  #err = 0;

  /** From now on everything that is written is counted. */
  begin(): void {
    countWrites(process.stdout, (bytes) => {
      this.#out += bytes;
    });
    countWrites(process.stderr, (bytes) => {
      this.#err += bytes;
    });
  }

  get out(): number {
    return this.#out;
  }

  get err(): number {
    return this.#err;
  }
}

function countWrites(stream: NodeJS.WriteStream, add: (bytes: number) => void): void {
  const write = stream.write.bind(stream) as (...parameters: unknown[]) => boolean;
  stream.write = (chunk: unknown, ...rest: unknown[]): boolean => {
    if (typeof chunk === "string") {
      const encoding = typeof rest[0] === "string" ? (rest[0] as BufferEncoding) : "utf8";
      add(Buffer.byteLength(chunk, encoding));
    } else if (ArrayBuffer.isView(chunk)) {
      add(chunk.byteLength);
    }
    return write(chunk, ...rest);
  };
}
