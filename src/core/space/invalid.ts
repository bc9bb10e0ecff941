import { HoldfastError } from "../../errors/index.ts";

/** The error for a fault at `path`, such as `over.k.step`. */
export function invalid(path: string, problem: string): HoldfastError {
  return new HoldfastError("INVALID_SPACE", { path, problem });
}
