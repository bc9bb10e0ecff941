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

/** Functions of the server, loaded together. */
export interface FunctionLibrary {
  /** Tells the version too: programs of several versions may share a server. */
  readonly name: string;
  readonly text: string;
}

/** `text` is given the library's name, which says by a hash what is in it. */
export function makeLibrary(prefix: string, text: (name: string) => string): FunctionLibrary {
  const name = `${prefix}_${createHash("sha1").update(text("")).digest("hex").slice(0, 12)}`;
  return { name, text: text(name) };
}
