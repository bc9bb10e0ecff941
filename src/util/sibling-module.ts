import { fileURLToPath } from "node:url";

/**
 * Path of a module file next to the caller's, with the caller's own extension: sources run as
 * `.ts`, the built package as `.js`, and a spawned process must get the same kind as its parent.
 */
export function siblingModule(callerUrl: string, relative: string): string {
  const extension = callerUrl.endsWith(".ts") ? ".ts" : ".js";
  return fileURLToPath(new URL(relative + extension, callerUrl));
}
