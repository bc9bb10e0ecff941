/**
 * From the texts of a spec to code and points: imports the user's module, finds the task in it,
 * compiles the parameter space and the aggregation. Done once per spec; Node keeps the modules.
 *
 * What only arrays need is imported when the first array comes, and past the folders' front doors,
 * which bring in the validation of what users write: so a runner starts quickly.
 */
import type { Aggregator, ReduceSpec } from "../../core/aggregate.ts";
import type { ArraySource, FunctionHandler, JobHandler } from "../../core/handler.ts";
import type { CompiledSpace, SpaceSpec } from "../../core/space.ts";
import { HoldfastError } from "../../errors/index.ts";
import { isTaskDefinition, type TaskDefinition } from "../../sdk/task.ts";
import type { NodeHandler } from "../../sdk/workflow/node.ts";
import type { SpecCommand } from "../runner-wire.ts";
import { checkNodeHandler } from "./node-texts.ts";

/** What is needed to run a workflow's nodes. */
export interface LoadedNode {
  readonly handler: NodeHandler;
  /** Only where it calls a task. */
  readonly definition: TaskDefinition | undefined;
}

/** What is needed to run an array's items. */
export interface LoadedArray {
  readonly definition: TaskDefinition;
  readonly space: CompiledSpace;
  readonly aggregator: Aggregator | undefined;
}

export class LoadedSpec {
  readonly command: SpecCommand;
  /** Runs that refer to it and have not been answered. */
  #uses = 0;
  #isForgotten = false;
  readonly #files: { close(): void }[] = [];
  /** One of these two is there when `load` has succeeded. */
  node: LoadedNode | undefined;
  definition: TaskDefinition | undefined;
  /** Undefined until `loadArray` has succeeded. */
  array: LoadedArray | undefined;

  constructor(command: SpecCommand) {
    this.command = command;
  }

  hold(): void {
    this.#uses += 1;
  }

  release(): void {
    this.#uses -= 1;
    if (this.#isForgotten) this.#closeIfUnused();
  }

  /** No run will refer to it again. */
  forget(): void {
    this.#isForgotten = true;
    this.#closeIfUnused();
  }

  #closeIfUnused(): void {
    if (this.#uses > 0) return;
    for (const file of this.#files.splice(0)) file.close();
  }

  /**
   * What runs separate tasks.
   *
   * @throws HoldfastError MODULE_NOT_LOADED, TASK_NOT_FOUND, INVALID_INPUT.
   */
  async load(): Promise<void> {
    const handler = readHandler(this.command.handler);
    if (handler.kind === "function") {
      this.definition ??= await findTask(handler);
      return;
    }
    const { does } = handler;
    this.node ??= { handler, definition: does.kind === "function" ? await findTask(does) : undefined };
  }

  /** @throws HoldfastError MODULE_NOT_LOADED, TASK_NOT_FOUND, INVALID_SPACE, INVALID_INPUT, PARAMETER_FILE_CHANGED, PARAMETER_FILE_UNUSABLE. */
  async loadArray(): Promise<LoadedArray> {
    if (this.array !== undefined) return this.array;
    const handler = readHandler(this.command.handler);
    if (handler.kind !== "function") throw new HoldfastError("INTERNAL", { problem: "an array came as a node" });
    this.definition ??= await findTask(handler);
    const { definition } = this;
    const source = JSON.parse(this.command.source ?? "null") as ArraySource | null;
    if (source === null) throw new HoldfastError("INTERNAL", { problem: "an array came without a source" });
    const space = await openSpace(source.space, this.#files);
    const aggregator = source.reduce === undefined ? undefined : await openAggregator(source.reduce);
    this.array = { definition, space, aggregator };
    return this.array;
  }
}

function readHandler(text: string): FunctionHandler | NodeHandler {
  // Over HTTP a handler is whatever its submitter wrote.
  const handler = (JSON.parse(text) ?? {}) as FunctionHandler | JobHandler | { readonly kind?: unknown };
  if (handler.kind === "function" && "module" in handler) return handler;
  if (handler.kind === "node") return checkNodeHandler(handler);
  if (handler.kind === "job" && "type" in handler) {
    const problem = "it is known by its type only; start the worker with --jobs and the module that has its task";
    throw new HoldfastError("MODULE_NOT_LOADED", { module: `job ${handler.type}`, problem });
  }
  const module = `a handler of kind ${JSON.stringify(handler.kind) ?? "none"}`;
  throw new HoldfastError("MODULE_NOT_LOADED", { module, problem: "this worker knows functions, nodes and jobs only" });
}

async function findTask({ module, task }: Pick<FunctionHandler, "module" | "task">): Promise<TaskDefinition> {
  const exported = await importModule(module);
  const definitions = Object.values(exported).filter(isTaskDefinition);
  const found = definitions.find(({ name }) => name === task);
  if (found !== undefined) return found;
  const names = definitions.map(({ name }) => name).join(", ");
  throw new HoldfastError("TASK_NOT_FOUND", { module, task, exported: names === "" ? "none" : names });
}

/** @throws HoldfastError MODULE_NOT_LOADED. */
export async function importModule(module: string): Promise<Readonly<Record<string, unknown>>> {
  try {
    return (await import(module)) as Readonly<Record<string, unknown>>;
  } catch (thrown) {
    const problem = thrown instanceof Error ? thrown.message : String(thrown);
    throw new HoldfastError("MODULE_NOT_LOADED", { module, problem }, { cause: thrown });
  }
}

/** Parameter files stay open, and are added to `files`. */
async function openSpace(spec: SpaceSpec, files: { close(): void }[]): Promise<CompiledSpace> {
  const { compileSpace } = await import("../../core/space/compile.ts");
  if (!hasFile(spec)) return compileSpace(spec);
  const { openRowFile } = await import("../../util/row-file.ts");
  return compileSpace(spec, (file) => {
    const opened = openRowFile(file);
    files.push(opened);
    return opened;
  });
}

function hasFile(spec: SpaceSpec): boolean {
  if (spec.kind === "grid" || spec.kind === "zip") return Object.values(spec.dimensions).some(hasFile);
  return spec.kind === "file";
}

async function openAggregator(spec: ReduceSpec): Promise<Aggregator> {
  const { compileAggregator } = await import("../../core/aggregate/compile.ts");
  const { findReducers } = await import("../../sdk/reducer.ts");
  return compileAggregator(spec, await findReducers(spec, []));
}
