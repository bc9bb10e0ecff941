/** Names of shared state as the file keeps them: bytes whose order is that of the name's code units. */
import type { SQLOutputValue } from "node:sqlite";

/** Longer than any name, and all ones: after every name. */
const AFTER_ALL = new Uint8Array(2_048).fill(0xff);

export function nameBytes(name: string): Uint8Array {
  return Buffer.from(name, "utf16le").swap16();
}

export function nameText(bytes: SQLOutputValue | undefined): string {
  return bytes instanceof Uint8Array ? Buffer.from(bytes).swap16().toString("utf16le") : "";
}

/** Names from `from` on and before `before`. */
export interface NameRange {
  readonly from: Uint8Array;
  readonly before: Uint8Array;
}

/** The names that start with `prefix` and come after `after`. */
export function nameRange({ prefix = "", after }: { readonly prefix?: string; readonly after?: string }): NameRange {
  const start = nameBytes(prefix);
  const next = after === undefined ? start : followerOf(after);
  return { from: Buffer.compare(next, start) > 0 ? next : start, before: endOf(start) };
}

/** The least bytes after those of the name. */
export function followerOf(name: string): Uint8Array {
  return Buffer.concat([nameBytes(name), Buffer.of(0)]);
}

/** The least bytes after all that start with these. */
function endOf(start: Uint8Array): Uint8Array {
  const last = start.findLastIndex((byte) => byte < 0xff);
  if (last < 0) return AFTER_ALL;
  const end = new Uint8Array(start.subarray(0, last + 1));
  end[last] = (end[last] ?? 0) + 1;
  return end;
}
