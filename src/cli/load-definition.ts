/** From the file a person names to the definition it exports. */
import { statSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { HoldfastError } from "../errors/index.ts";
import { knownError } from "./report-error.ts";
import { type Definition, isDefinition } from "../sdk/definition.ts";

/**
 * Imports a module and takes its default export: a definition, or a function that makes one.
 *
 * @throws HoldfastError MODULE_NOT_LOADED when there is no such file, it does not parse, or its code
 * throws; NOTHING_TO_RUN when its default export is no definition; whatever a definition in it finds
 * wrong with itself.
 */
export async function loadDefinition(file: string, workingDirectory: string): Promise<Definition> {
  const resolved = path.resolve(workingDirectory, file);
  if (statSync(resolved, { throwIfNoEntry: false })?.isFile() !== true) {
    throw new HoldfastError("MODULE_NOT_LOADED", { module: file, problem: "there is no such file" });
  }
  const exported = await importModule(file, resolved);
  const made = typeof exported.default === "function" ? await callFactory(file, exported.default as () => unknown) : exported.default;
  if (isDefinition(made)) return made;
  throw new HoldfastError("NOTHING_TO_RUN", { module: file });
}

async function importModule(file: string, resolved: string): Promise<{ readonly default?: unknown }> {
  try {
    return (await import(pathToFileURL(resolved).href)) as { readonly default?: unknown };
  } catch (thrown) {
    throw asLoadError(file, thrown);
  }
}

async function callFactory(file: string, factory: () => unknown): Promise<unknown> {
  try {
    return await factory();
  } catch (thrown) {
    throw asLoadError(file, thrown);
  }
}

/** What the module's own definitions found wrong is told as it is; everything else is the module's failure to load. */
function asLoadError(module: string, thrown: unknown): HoldfastError {
  const known = knownError(thrown);
  if (known !== undefined) return known;
  const problem = thrown instanceof Error ? `${thrown.name}: ${thrown.message}${placeOf(thrown)}` : String(thrown);
  return new HoldfastError("MODULE_NOT_LOADED", { module, problem }, { cause: thrown });
}

/** ` (file.ts:12)`: for a syntax error the first line of its stack, else the first frame in a file of the user's. */
function placeOf(error: Error): string {
  const stack = error.stack ?? "";
  const found = /^file:\/\/(\S+?):(\d+)/.exec(stack) ?? /\(?file:\/\/(\S+?):(\d+):\d+\)?/.exec(stack);
  const [, place, line] = found ?? [];
  return place === undefined || line === undefined ? "" : ` (${path.basename(decodeURIComponent(place))}:${line})`;
}
