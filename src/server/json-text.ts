/** Between JSON that was parsed and the texts that a broker keeps. */
import { HoldfastError } from "../errors/index.ts";

interface Value {
  /** Id of the operation, for the error. */
  readonly method: string;
  /** Where the value lay in the request: `body.result`. */
  readonly path: string;
  readonly value: unknown;
}

/** The JSON text of a value of a request. Errors: INVALID_REQUEST for more nesting than can be written. */
export function textOf({ method, path, value }: Value): string {
  try {
    return JSON.stringify(value);
  } catch (thrown) {
    if (!(thrown instanceof RangeError)) throw thrown;
    throw new HoldfastError("INVALID_REQUEST", { method, path, problem: "is nested too deeply" }, { cause: thrown });
  }
}

/**
 * A text of the broker's as part of a JSON answer. It is JSON already, and goes through unchanged; but
 * a broker never reads it, so one that was stored by a broken program goes out as a string.
 */
export function spliced(text: string): string {
  try {
    JSON.parse(text);
    return text;
  } catch {
    return JSON.stringify(text);
  }
}
