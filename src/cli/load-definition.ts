/** From the file a person names to the definition it exports. */
import { spawnSync } from "node:child_process";
import { statSync } from "node:fs";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { HoldfastError } from "../errors/index.ts";
import { knownError } from "./report-error.ts";
import { type Definition, isDefinition } from "../sdk/definition.ts";
import type { WorkflowDefinition } from "../sdk/workflow.ts";
import { definitionOfPlan } from "../sdk/workflow/planned-definition.ts";

const CHECK_TIMEOUT_MS = 5_000;

export interface LoadOptions {
  readonly workingDirectory: string;
  /** JSON, or `@FILE` with JSON in it: the workflow's input. */
  readonly input?: string | undefined;
}

const DATA_FILE = /\.(ya?ml|json)$/i;

/**
 * What a file has to submit: the default export of a module, a definition or a function that makes one;
 * or the workflow that a YAML or JSON file describes.
 *
 * @throws HoldfastError those of loadDefinition and loadWorkflowFile; INVALID_OPTION for an input that is
 * no JSON, or not wanted.
 */
export async function loadRunnable(file: string, options: LoadOptions): Promise<Definition> {
  const { workingDirectory, input } = options;
  const definition = DATA_FILE.test(file)
    ? await loadDataFile(file, options)
    : await loadDefinition(file, workingDirectory);
  if (input === undefined) return definition;
  if ("with" in definition) return (definition as WorkflowDefinition).with(await readInput(input, workingDirectory));
  const expected = "a workflow that takes one";
  throw new HoldfastError("INVALID_OPTION", { option: "--input", value: `given for a ${definition.kind}`, expected });
}

/** A workflow of ours, or a recorded one in WfFormat. */
async function loadDataFile(file: string, { workingDirectory }: LoadOptions): Promise<Definition> {
  const resolved = path.resolve(workingDirectory, file);
  if (/\.json$/i.test(file)) {
    const json = await readJson(resolved);
    const { isWfFormat, readWfFormat, wfFormatPlan } = await import("../sdk/workflow/wf-format.ts");
    if (isWfFormat(json)) return definitionOfPlan(wfFormatPlan(readWfFormat(json, file), { timeScale: 1 }));
  }
  const { loadWorkflowFile } = await import("../sdk/workflow/file/load.ts");
  return loadWorkflowFile(resolved, { shown: file });
}

/** Undefined for what is no JSON: whoever reads it next says where it is wrong. */
export async function readJson(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, "utf8"));
  } catch {
    return undefined;
  }
}

async function readInput(input: string, workingDirectory: string): Promise<unknown> {
  try {
    const text = input.startsWith("@") ? await readFile(path.resolve(workingDirectory, input.slice(1)), "utf8") : input;
    return JSON.parse(text);
  } catch (thrown) {
    const expected = `JSON, or @FILE with JSON in it (${thrown instanceof Error ? thrown.message : String(thrown)})`;
    throw new HoldfastError("INVALID_OPTION", { option: "--input", value: input, expected }, { cause: thrown });
  }
}

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
  const exported = await importModule({ file, resolved });
  const made =
    typeof exported.default === "function"
      ? await callFactory({ file, resolved }, exported.default as () => unknown)
      : exported.default;
  if (isDefinition(made)) return made;
  throw new HoldfastError("NOTHING_TO_RUN", { module: file });
}

interface ModuleFile {
  /** As the person wrote it. */
  readonly file: string;
  readonly resolved: string;
}

async function importModule(module: ModuleFile): Promise<{ readonly default?: unknown }> {
  try {
    return (await import(pathToFileURL(module.resolved).href)) as { readonly default?: unknown };
  } catch (thrown) {
    throw asLoadError(module, thrown);
  }
}

async function callFactory(module: ModuleFile, factory: () => unknown): Promise<unknown> {
  try {
    return await factory();
  } catch (thrown) {
    throw asLoadError(module, thrown);
  }
}

/** What the module's own definitions found wrong is told as it is; everything else is the module's failure to load. */
function asLoadError({ file: module, resolved }: ModuleFile, thrown: unknown): HoldfastError {
  const known = knownError(thrown);
  if (known !== undefined) return known;
  const place = thrown instanceof SyntaxError ? syntaxErrorPlace(resolved) : placeOf(thrown);
  const problem = thrown instanceof Error ? `${thrown.name}: ${thrown.message}${place}` : String(thrown);
  return new HoldfastError("MODULE_NOT_LOADED", { module, problem }, { cause: thrown });
}

/** ` (file.ts:12)`: the first frame of the stack that lies in a file. */
function placeOf(thrown: unknown): string {
  const stack = thrown instanceof Error ? (thrown.stack ?? "") : "";
  return placeText(/file:\/\/(\S+?):(\d+):\d+/.exec(stack));
}

/** A syntax error keeps its place to itself when it is caught; checking the file tells it. Empty when another file is at fault. */
function syntaxErrorPlace(resolved: string): string {
  const { stderr } = spawnSync(process.execPath, ["--check", resolved], {
    encoding: "utf8",
    timeout: CHECK_TIMEOUT_MS,
  });
  return placeText(/^(?:file:\/\/)?(\S+?):(\d+)$/m.exec(stderr));
}

function placeText(found: RegExpExecArray | null): string {
  const [, place, line] = found ?? [];
  return place === undefined || line === undefined ? "" : ` (${path.basename(decodeURIComponent(place))}:${line})`;
}
