import { createHash } from "node:crypto";

/** A Lua script, and the name the server knows it by. */
export interface Script {
  readonly name: string;
  readonly text: string;
  /** SHA-1 of the text, 40 hexadecimal digits. */
  readonly sha: string;
}

export function makeScript(name: string, text: string): Script {
  return { name, text, sha: createHash("sha1").update(text).digest("hex") };
}
