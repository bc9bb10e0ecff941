import { HoldfastError } from "../errors/index.ts";

/**
 * JSON of what a program passes; undefined of what JSON leaves out.
 *
 * @throws HoldfastError INVALID_INPUT where there is none: of a bigint, of what contains itself.
 */
export function jsonText(value: unknown, path: string): string | undefined {
  try {
    // Undefined for a function, too, whatever its type says.
    return JSON.stringify(value);
  } catch (thrown) {
    const [why = ""] = (thrown instanceof Error ? thrown.message : String(thrown)).split("\n");
    throw new HoldfastError("INVALID_INPUT", { path, problem: `is not JSON: ${why}` }, { cause: thrown });
  }
}
