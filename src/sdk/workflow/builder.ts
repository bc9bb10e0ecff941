/** The `w` of `defineWorkflow(name, (w) => …)`: one method per kind of node. */
import { MAX_TASKS_PER_CALL } from "../../broker/limits.ts";
import { shown } from "../../core/untrusted.ts";
import type { Duration } from "../../util/units.ts";
import { isTaskDefinition, type TaskDefinition } from "../task.ts";
import { embed } from "./embed.ts";
import { functionStep, makeHead, taskParts } from "./heads.ts";
import type { Approval, CommandStep, GroupHead, WaitStep } from "./node.ts";
import type {
  CommandOptions,
  CommandOutput,
  Given,
  InputArguments,
  MapInputOptions,
  MapOptions,
  NodeOptions,
  OnFailure,
  OnSkip,
  OutputOfCommand,
  Outputs,
  SignalOptions,
} from "./options.ts";
import {
  inputReference,
  itemReference,
  nodeHandle,
  type NodeHandle,
  type NodeRef,
  type ValueRef,
  type Ways,
} from "./reference.ts";
import type { SpecBuilder, RawOptions } from "./spec-builder.ts";
import { isWorkflowSource, type WorkflowRef } from "./source.ts";

/** Thought to take as long as this until it was measured, milliseconds. */
export const DEFAULT_ESTIMATE_MS = 1_000;

const PARTS_FAIL = "lets a workflow fail; say of its own nodes which of them may";

type After = readonly NodeRef[] | Readonly<Record<string, NodeRef>>;

/** What is run for every item of a map. */
type Runnable<Input, Output> = TaskDefinition<Input, unknown, Output> | WorkflowRef<Input, Output>;

/**
 * Defines the nodes of a workflow. Ids are unique in it: letters, digits, `_`, `-` and `.`. What a node
 * uses, by `after` or in its input, it waits for.
 */
export interface WorkflowBuilder<Input = unknown> {
  /** The input that the workflow is given, or what lies in it. */
  readonly input: Ways<Input>;
  /**
   * Runs a task.
   *
   * @example const api = w.task("api", buildApi, { after: { schema }, pool: "backend" });
   */
  task<
    TaskInput,
    Parsed,
    Output,
    const Before extends After = readonly [],
    Skip extends OnSkip = "skip",
    Fail extends OnFailure = "fail",
  >(
    id: string,
    task: TaskDefinition<TaskInput, Parsed, Output>,
    ...options: InputArguments<TaskInput, Before, Skip, Fail>
  ): NodeHandle<Given<Output, Skip, Fail>>;
  /** Runs a program: a text is given to the shell, a list is a program and its arguments. */
  command<const Output extends CommandOutput = "text", Skip extends OnSkip = "skip", Fail extends OnFailure = "fail">(
    id: string,
    command: string | readonly string[],
    options?: CommandOptions<Output, Skip, Fail>,
  ): NodeHandle<Given<OutputOfCommand<Output>, Skip, Fail>>;
  /**
   * Runs a task or a workflow once for every item of a list that may be known only then. Its output is the
   * list of their outputs, in order.
   *
   * @example w.map("tests", runTest, { over: api.output("testCases"), pool: "qa" });
   */
  map<
    Item,
    ItemInput,
    Output,
    Skip extends OnSkip = "skip",
    Fail extends OnFailure = "fail",
    Go extends boolean = false,
  >(
    id: string,
    each: Runnable<ItemInput, Output>,
    options: MapInputOptions<Item, ItemInput, Skip, Fail, Go>,
  ): NodeHandle<Outputs<Output, Skip, Fail, Go>>;
  map<Item, Output, Skip extends OnSkip = "skip", Fail extends OnFailure = "fail", Go extends boolean = false>(
    id: string,
    each: Runnable<Item, Output>,
    options: MapOptions<NoInfer<Item>, Skip, Fail, Go> & { readonly input?: undefined },
  ): NodeHandle<Outputs<Output, Skip, Fail, Go>>;
  /** Runs the nodes of another workflow, as parts of this execution. Its output is what that workflow returns. */
  workflow<
    FlowInput,
    Output,
    const Before extends After = readonly [],
    Skip extends OnSkip = "skip",
    Fail extends Exclude<OnFailure, "continue"> = "fail",
  >(
    id: string,
    workflow: WorkflowRef<FlowInput, Output>,
    ...options: InputArguments<FlowInput, Before, Skip, Fail>
  ): NodeHandle<Given<Output, Skip, Fail>>;
  /** Waits for `execution.signal(name, payload)`, holding no worker. Its output is the payload. */
  signal<Payload = unknown>(id: string, options?: SignalOptions): NodeHandle<Payload>;
  /** Waits for somebody to approve; a refusal is a failure. Its output says who did. */
  approval(id: string, options?: SignalOptions): NodeHandle<Approval>;
  /** Waits that long, holding no worker. Milliseconds may come from an output. */
  sleep(id: string, duration: Duration | ValueRef<number>, options?: NodeOptions): NodeHandle<null>;
}

/** The types above promise more than one can say of what is there: a program in JavaScript may pass anything. */
export class Builder {
  readonly #spec: SpecBuilder;
  /** Folder of the module, where its programs run. */
  readonly #folder: string | undefined;

  constructor(spec: SpecBuilder, folder: string | undefined) {
    this.#spec = spec;
    this.#folder = folder;
  }

  input(...path: readonly (string | number)[]): ValueRef {
    return inputReference(path);
  }

  task(id: string, task: unknown, options: RawOptions = {}): NodeHandle {
    if (isTaskDefinition(task)) {
      const { name } = task;
      this.#spec.add({
        id,
        kind: "task",
        name,
        does: functionStep(task),
        task,
        options,
        estimateMs: DEFAULT_ESTIMATE_MS,
      });
    } else this.#spec.problem(`nodes.${id}`, `runs ${shown(task)}; expected a task`);
    return this.#handle(id);
  }

  command(
    id: string,
    command: string | readonly string[],
    options: RawOptions & Partial<CommandStep> = {},
  ): NodeHandle {
    const { cwd = this.#folder, env, output } = options;
    if (!(typeof command === "string" ? command.trim() !== "" : Array.isArray(command) && command.length > 0))
      this.#spec.problem(
        `nodes.${id}.command`,
        `is ${shown(command)}; expected a text, or a program and its arguments`,
      );
    const does: CommandStep = {
      kind: "command",
      command,
      ...(cwd === undefined ? {} : { cwd }),
      ...(env === undefined ? {} : { env }),
      ...(output === undefined ? {} : { output }),
    };
    const name = typeof command === "string" ? firstWord(command) : (command[0] ?? "");
    this.#spec.add({ id, kind: "command", name, does, options, estimateMs: DEFAULT_ESTIMATE_MS });
    return this.#handle(id);
  }

  map(id: string, each: unknown, options: RawMapOptions): NodeHandle {
    const { over, input: itemInput, ...others } = options;
    const head = this.#eachHead(id, each, options);
    if (head === undefined) return this.#handle(id);
    const path = `nodes.${id}.input`;
    const uses = new Set<string>();
    const input =
      itemInput === undefined ? undefined : this.#spec.itemTemplate(itemInput(itemReference([])), path, uses);
    if (over === undefined)
      this.#spec.problem(`nodes.${id}.over`, "is missing; expected a list, or an output that is one");
    if (Array.isArray(over) && over.length > MAX_TASKS_PER_CALL)
      this.#spec.problem(`nodes.${id}.over`, `has ${over.length} items; at most ${MAX_TASKS_PER_CALL}`);
    // Each item may fail then; the node judges when all have ended.
    const failsWithItems = options.onFailure === "continue" && options.continueOnFailure !== true;
    const { retry: _retry, timeout: _timeout, ...own } = others;
    this.#spec.add({
      id,
      kind: "map",
      name: head.name,
      does: {
        kind: "map",
        each: head,
        ...(input === undefined ? {} : { input }),
        ...(failsWithItems ? { failsWithItems } : {}),
      },
      options: { ...own, pool: head.pool, requires: [], input: over },
      uses,
      estimateMs: DEFAULT_ESTIMATE_MS,
    });
    return this.#handle(id);
  }

  workflow(id: string, workflow: unknown, options: RawOptions = {}): NodeHandle {
    if (isWorkflowSource(workflow)) {
      const embedded = embed(workflow, (problem) => this.#spec.problem(`nodes.${id}`, problem));
      if (embedded !== undefined) {
        const { step, estimateMs } = embedded;
        if (options.onFailure === "continue") this.#spec.problem(`nodes.${id}.onFailure`, PARTS_FAIL);
        this.#spec.add({
          id,
          kind: "workflow",
          name: workflow.name,
          does: step,
          options,
          schema: workflow.inputSchema,
          estimateMs,
        });
      }
    } else this.#spec.problem(`nodes.${id}`, `runs ${shown(workflow)}; expected a workflow`);
    return this.#handle(id);
  }

  signal(id: string, options: RawSignalOptions = {}): NodeHandle {
    return this.#wait(id, "signal", options);
  }

  approval(id: string, options: RawSignalOptions = {}): NodeHandle {
    return this.#wait(id, "approval", options);
  }

  sleep(id: string, duration: unknown, options: RawOptions = {}): NodeHandle {
    const isWritten = typeof duration === "string" || typeof duration === "number";
    const ms = isWritten ? this.#spec.duration(duration, `nodes.${id}.sleep`) : undefined;
    this.#spec.add({
      id,
      kind: "sleep",
      name: "sleep",
      does: { kind: "sleep", ...(ms === undefined ? {} : { ms }) },
      options: isWritten ? options : { ...options, input: duration },
      estimateMs: ms ?? 0,
    });
    return this.#handle(id);
  }

  #wait(id: string, kind: "signal" | "approval", options: RawSignalOptions): NodeHandle {
    const { name, timeout, onTimeout, ...others } = options;
    const timeoutMs = timeout === undefined ? undefined : this.#spec.duration(timeout, `nodes.${id}.timeout`);
    const does: WaitStep = {
      kind: "wait",
      ...(name === undefined ? {} : { signal: name }),
      ...(kind === "approval" ? { approval: true } : {}),
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
      ...(onTimeout === undefined ? {} : { onTimeout }),
    };
    this.#spec.add({ id, kind, name: name ?? id, does, options: others, estimateMs: 0 });
    return this.#handle(id);
  }

  #eachHead(id: string, each: unknown, options: RawMapOptions): GroupHead | undefined {
    const mayFail = options.continueOnFailure === true || options.onFailure === "continue";
    const onFailure = mayFail ? "continue" : undefined;
    if (isTaskDefinition(each)) {
      if (each.module === undefined)
        this.#spec.problem(
          `nodes.${id}`,
          "maps over a task whose module is not known; pass it `module: import.meta.url`",
        );
      const made = this.#spec.settings(id, options, taskParts(each));
      return makeHead({ ...made, name: each.name, does: functionStep(each), onFailure });
    }
    if (isWorkflowSource(each)) {
      if (mayFail) this.#spec.problem(`nodes.${id}`, PARTS_FAIL);
      const embedded = embed(each, (problem) => this.#spec.problem(`nodes.${id}`, problem));
      if (embedded === undefined) return undefined;
      return makeHead({ ...this.#spec.settings(id, options), name: each.name, does: embedded.step, onFailure });
    }
    this.#spec.problem(`nodes.${id}`, `maps over ${shown(each)}; expected a task or a workflow`);
    return undefined;
  }

  #handle(id: string): NodeHandle {
    return nodeHandle(this.#spec.owner, id);
  }
}

export interface RawMapOptions extends Omit<RawOptions, "input"> {
  readonly over: unknown;
  readonly input?: (item: ValueRef) => unknown;
  readonly continueOnFailure?: boolean;
}

export interface RawSignalOptions extends RawOptions {
  readonly name?: string;
  readonly onTimeout?: "fail" | "continue";
}

function firstWord(command: string): string {
  return command.trim().split(/\s/, 1)[0]?.slice(0, 100) ?? "";
}
