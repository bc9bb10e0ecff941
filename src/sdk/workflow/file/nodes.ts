/** The nodes of a workflow file, each with what it refers to. */
import path from "node:path";
import { isPlainObject, shown } from "../../../core/untrusted.ts";
import type { TaskDefinition } from "../../task.ts";
import { Builder, type RawMapOptions } from "../builder.ts";
import type { RawOptions, SpecBuilder } from "../spec-builder.ts";
import { addIssues, suggestion } from "./issues.ts";
import type { References, Referred } from "./modules.ts";
import type { FileProblems } from "./problems.ts";
import { withReferences } from "./references.ts";
import { type FileNode, NODE_FIELDS, NODE_SCHEMAS, type NodeField } from "./schema.ts";

export interface NodesParts {
  readonly builder: SpecBuilder;
  readonly problems: FileProblems;
  readonly references: References;
  /** Of the file. */
  readonly folder: string;
}

export async function buildNodes(nodes: Readonly<Record<string, unknown>>, parts: NodesParts): Promise<void> {
  const writer = new NodeWriter(parts);
  for (const [id, written] of Object.entries(nodes)) await writer.write(id, written);
}

class NodeWriter {
  readonly #parts: NodesParts;
  readonly #w: Builder;

  constructor(parts: NodesParts) {
    this.#parts = parts;
    this.#w = new Builder(parts.builder, parts.folder);
  }

  async write(id: string, written: unknown): Promise<void> {
    const field = this.#fieldOf(id, written);
    if (field === undefined) return this.#standIn(id);
    const schema = NODE_SCHEMAS[field];
    const read = schema.safeParse(written, { reportInput: true });
    if (!read.success) {
      addIssues(this.#parts.problems, read.error.issues, { path: ["nodes", id], known: Object.keys(schema.shape) });
      return this.#standIn(id);
    }
    await this.#add(id, read.data);
  }

  /** Which of the fields says what the node does. */
  #fieldOf(id: string, written: unknown): NodeField | undefined {
    const { problems } = this.#parts;
    const at = ["nodes", id];
    if (!isPlainObject(written)) {
      problems.add(at, `is ${shown(written)}; expected what it does: ${NODE_FIELDS.join(", ")}`, {
        key: written === null,
      });
      return undefined;
    }
    const found = NODE_FIELDS.filter((field) => field in written);
    const [field, second] = found;
    if (second !== undefined)
      problems.add([...at, second], `is given beside ${field ?? ""}; a node does one thing`, { key: true });
    if (field === undefined) {
      const hints = Object.keys(written).map((key) => suggestion(key, NODE_FIELDS));
      const hint = hints.find((text) => text !== "") ?? "";
      problems.add(at, `does not say what it does; expected one of ${NODE_FIELDS.join(", ")}${hint}`, { key: true });
    }
    return second === undefined ? field : undefined;
  }

  /** In place of a node that could not be read, so that those after it are not told that there is none. */
  #standIn(id: string): void {
    this.#w.sleep(id, 0);
  }

  async #add(id: string, node: FileNode): Promise<void> {
    if ("task" in node) {
      const referred = await this.#find(id, "task", node.task);
      const task = referred !== undefined && "task" in referred ? referred.task : undefined;
      if (referred !== undefined && task === undefined)
        this.#problem(id, "task", "is a workflow; expected `workflow:` for it");
      return task === undefined ? this.#standIn(id) : void this.#w.task(id, task, await this.#options(id, node));
    }
    if ("run" in node) {
      const { run, cwd, env, output } = node;
      this.#checkCommand(id, node);
      const where = cwd === undefined ? {} : { cwd: path.resolve(this.#parts.folder, cwd) };
      const how = { ...where, ...(env === undefined ? {} : { env }), ...(output === undefined ? {} : { output }) };
      return void this.#w.command(id, run, { ...(await this.#options(id, node)), ...how });
    }
    if ("map" in node) return this.#addMap(id, node);
    if ("workflow" in node) {
      const referred = await this.#find(id, "workflow", node.workflow);
      const workflow = referred !== undefined && "workflow" in referred ? referred.workflow : undefined;
      if (referred !== undefined && workflow === undefined)
        this.#problem(id, "workflow", "is a task; expected `task:` for it");
      return workflow === undefined
        ? this.#standIn(id)
        : void this.#w.workflow(id, workflow, await this.#options(id, node));
    }
    if ("sleep" in node)
      return void this.#w.sleep(id, this.#value(id, "sleep", node.sleep), await this.#options(id, node));
    const { timeout, onTimeout } = node;
    const waiting = {
      ...(await this.#options(id, node)),
      ...(timeout === undefined ? {} : { timeout }),
      ...(onTimeout === undefined ? {} : { onTimeout }),
    };
    if ("signal" in node) this.#w.signal(id, { ...waiting, name: node.signal });
    else this.#w.approval(id, { ...waiting, name: node.approval });
  }

  /** A shell would take a reference for something of its own, and what it stands for for more commands. */
  #checkCommand(id: string, { run, env = {} }: Extract<FileNode, { readonly run: unknown }>): void {
    const problem = "has ${{ … }}, which is filled in only in inputs; a program gets its input on standard input";
    if ([run].flat().some((text) => text.includes("${{"))) this.#problem(id, "run", problem);
    for (const [name, text] of Object.entries(env))
      if (text.includes("${{")) this.#parts.problems.add(["nodes", id, "env", name], problem);
  }

  async #addMap(id: string, node: Extract<FileNode, { readonly map: string }>): Promise<void> {
    const referred = await this.#find(id, "map", node.map);
    if (referred === undefined) return this.#standIn(id);
    const { input: _made, ...options } = await this.#options(id, { ...node, input: undefined });
    const made = node.input === undefined ? undefined : this.#value(id, "input", node.input);
    const map: RawMapOptions = {
      ...options,
      over: this.#value(id, "over", node.over),
      ...(made === undefined ? {} : { input: () => made }),
      ...(node.continueOnFailure === undefined ? {} : { continueOnFailure: node.continueOnFailure }),
    };
    this.#w.map(id, "task" in referred ? referred.task : referred.workflow, map);
  }

  async #options(
    id: string,
    node: FileNode | (Omit<FileNode, "input"> & { readonly input?: undefined }),
  ): Promise<RawOptions> {
    const { after, when, onSkip, onFailure, pool, requires, priority, estimate } = node;
    const { retry, timeout, compensate, input } = node as Partial<Extract<FileNode, { readonly task: string }>>;
    const given: RawOptions = {
      after,
      condition: when,
      onSkip,
      onFailure,
      pool,
      requires,
      priority: priority as RawOptions["priority"],
      estimate,
      retry: retry as RawOptions["retry"],
      timeout,
      compensate: compensate === undefined ? undefined : await this.#compensation(id, compensate),
      input: input === undefined ? undefined : this.#value(id, "input", input),
    };
    return given;
  }

  async #compensation(id: string, reference: string): Promise<TaskDefinition | undefined> {
    const referred = await this.#find(id, "compensate", reference);
    if (referred === undefined || "task" in referred) return referred?.task;
    this.#problem(id, "compensate", "is a workflow; expected a task");
    return undefined;
  }

  async #find(id: string, field: string, reference: string): Promise<Referred | undefined> {
    const found = await this.#parts.references.find(reference);
    if (typeof found !== "string") return found;
    this.#problem(id, field, found);
    return undefined;
  }

  #value(id: string, field: string, value: unknown): unknown {
    return withReferences(value, `nodes.${id}.${field}`, (at, problem) => this.#parts.builder.problem(at, problem));
  }

  #problem(id: string, field: string, problem: string): void {
    this.#parts.problems.add(["nodes", id, field], problem);
  }
}
