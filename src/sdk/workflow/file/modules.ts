/** What a workflow file refers to: tasks and workflows that modules export, and other files. */
import path from "node:path";
import { pathToFileURL } from "node:url";
import { statSync } from "node:fs";
import { nearestName } from "../../../util/nearest-name.ts";
import { isTaskDefinition, type TaskDefinition } from "../../task.ts";
import { isWorkflowSource, type WorkflowSource } from "../source.ts";

export type Referred = { readonly task: TaskDefinition } | { readonly workflow: WorkflowSource };

/** Loads another workflow file. Throws what is wrong with it. */
export type LoadFile = (file: string) => Promise<WorkflowSource>;

const FILE = /\.(ya?ml|json)$/i;

/** Reads each module and file once. */
export class References {
  readonly #folder: string;
  readonly #loadFile: LoadFile;
  readonly #modules = new Map<string, Promise<Readonly<Record<string, unknown>>>>();

  constructor(folder: string, loadFile: LoadFile) {
    this.#folder = folder;
    this.#loadFile = loadFile;
  }

  /** What `./tasks.ts#name` or `./other.yaml` stands for, or what is wrong with it. */
  async find(reference: string): Promise<Referred | string> {
    const hash = reference.lastIndexOf("#");
    const [file, name] = hash < 0 ? [reference, "default"] : [reference.slice(0, hash), reference.slice(hash + 1)];
    if (file === "" || name === "")
      return `is ${JSON.stringify(reference)}; expected such as ./tasks.ts#train or ./other.yaml`;
    const resolved = path.resolve(this.#folder, file);
    if (statSync(resolved, { throwIfNoEntry: false })?.isFile() !== true)
      return `names ${file}, and there is no such file`;
    try {
      if (FILE.test(file)) return { workflow: await this.#loadFile(resolved) };
      return exported(await this.#module(resolved), { file, name });
    } catch (thrown) {
      const problem = thrown instanceof Error ? thrown.message : String(thrown);
      return `names ${file}, which cannot be used: ${problem}`;
    }
  }

  #module(file: string): Promise<Readonly<Record<string, unknown>>> {
    const known = this.#modules.get(file);
    if (known !== undefined) return known;
    const loading = import(pathToFileURL(file).href) as Promise<Readonly<Record<string, unknown>>>;
    this.#modules.set(file, loading);
    return loading;
  }
}

function exported(
  module: Readonly<Record<string, unknown>>,
  { file, name }: { readonly file: string; readonly name: string },
): Referred | string {
  const value = module[name];
  if (isTaskDefinition(value)) return { task: value };
  if (isWorkflowSource(value)) return { workflow: value };
  if (name in module) return `names ${name} of ${file}, which is neither a task nor a workflow`;
  const usable = Object.keys(module).filter((key) => isTaskDefinition(module[key]) || isWorkflowSource(module[key]));
  if (name === "default" && usable.length > 0)
    return `names ${file}; say which export: ${usable.map((key) => `#${key}`).join(", ")}`;
  const meant = nearestName(name, usable);
  const hint = meant === undefined ? `; it exports ${usable.join(", ") || "no tasks"}` : `; did you mean ${meant}?`;
  return `names ${name}, which ${file} does not export${hint}`;
}
