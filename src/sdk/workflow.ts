/**
 * Workflows: tasks, programs, waits and other workflows that come after each other.
 *
 * A definition is used in two processes, like a task's. The submitting one reads its nodes; a runner
 * imports the module again and finds it by its brand and its name among the exports when a node has a
 * condition that is a function. So a workflow with such conditions must be exported. The nodes are
 * defined when they are first asked for, and only once.
 *
 * Runners import this file with every user module; it must stay light.
 */
import path from "node:path";
import { fileURLToPath } from "node:url";
import { pathTo } from "../core/untrusted.ts";
import { HoldfastError } from "../errors/index.ts";
import { type Duration, parseDurationMs } from "../util/units.ts";
import { type Definition, DEFINITION_BRAND, type ExecutionReader, type Prepared } from "./definition.ts";
import { pointsFrom } from "./points.ts";
import { jsonText } from "./json-text.ts";
import { checkAgainst, type SchemaInput, type SchemaOutput, type StandardSchema } from "./standard-schema.ts";
import { callerModule, DEFAULT_POOL, type Priority, toPriority } from "./task.ts";
import { Builder, type WorkflowBuilder } from "./workflow/builder.ts";
import { needsOfHeads } from "./workflow/needs.ts";
import type { Json } from "./workflow/node.ts";
import { writeWorkflowNotes } from "./workflow/notes.ts";
import type { Filled } from "./workflow/reference.ts";
import { outputOf, WORKFLOW_BRAND, type WorkflowRef, type WorkflowSource } from "./workflow/source.ts";
import { SpecBuilder } from "./workflow/spec-builder.ts";
import type { WorkflowSpec } from "./workflow/spec.ts";
import { submissionOf } from "./workflow/submission.ts";
import { fillInput } from "./workflow/template.ts";
import { type PlanSettings, toPlan } from "./workflow/to-plan.ts";
import type { WorkflowPlan } from "./workflow/plan.ts";

/** What can be said anew whenever it is submitted. */
export interface SubmitOptions {
  /** Submitting the same key again gives the same execution. */
  readonly key?: string;
  readonly priority?: Priority;
  /** How long the ended execution is kept. Default: the broker's setting, 7 days. */
  readonly retention?: Duration;
}

export interface WorkflowOptions<Schema extends StandardSchema = StandardSchema> extends SubmitOptions {
  /** A Standard Schema of its input, which is given by `workflow.with(input)`. */
  readonly input?: Schema;
  /** Of nodes whose task names none. Default `default`. */
  readonly pool?: string;
  /** The first node that fails for good cancels the rest. Default true; false where a node compensates. */
  readonly failFast?: boolean;
  /** Keep inputs of completed nodes, so that parts of it can be run again. Default true. */
  readonly keepInputs?: boolean;
  /** URL of the module that exports it: `import.meta.url`. Found by itself unless a helper of yours calls defineWorkflow. */
  readonly module?: string;
}

/** What a workflow answers: what its function returned with the outputs filled in; without, the outputs of its last nodes by id. */
export type WorkflowOutput<Result> = [Result] extends [void] ? Readonly<Record<string, unknown>> : Filled<Result>;

/** `Input` is what it is given, `Output` what it answers. The points of its execution are the ids of its nodes. */
export interface WorkflowDefinition<Input = unknown, Output = unknown>
  extends Definition<string, unknown, Output>, WorkflowRef<Input, Output> {
  readonly kind: "workflow";
  readonly name: string;
  readonly module: string | undefined;
  /**
   * The same workflow, to be submitted with this input.
   *
   * @example await client.submit(release.with({ version: "1.4.0" }, { key: "release-1.4.0" }));
   */
  with(input: Input, options?: SubmitOptions): WorkflowDefinition<Input, Output>;
  /**
   * Checks it whole and says what would be submitted.
   *
   * @throws HoldfastError INVALID_WORKFLOW with all that is wrong, INVALID_INPUT.
   */
  plan(): Promise<WorkflowPlan>;
}

/**
 * Defines a workflow. `build` names its nodes; what it returns, with outputs of nodes in it, is what the
 * workflow answers.
 *
 * @throws HoldfastError INVALID_OPTION when an option is out of its range. What is wrong with its nodes
 * is told when it is submitted, all at once.
 * @example
 * export const release = defineWorkflow("release", (w) => {
 *   const schema = w.task("schema", designSchema);
 *   const api = w.task("api", buildApi, { after: { schema }, pool: "backend", priority: "deployment" });
 *   w.map("tests", runTest, { over: api.output("testCases"), pool: "qa" });
 * });
 */
export function defineWorkflow<Result, Schema extends StandardSchema = StandardSchema>(
  name: string,
  build: (w: WorkflowBuilder<SchemaOutput<Schema>>) => Result,
  options: WorkflowOptions<Schema> = {},
): WorkflowDefinition<SchemaInput<Schema>, WorkflowOutput<Result>> {
  if (typeof name !== "string" || name.trim() === "" || name.length > MAX_NAME) {
    const expected = `1 to ${MAX_NAME} characters`;
    throw new HoldfastError("INVALID_OPTION", { option: "name of a workflow", value: JSON.stringify(name), expected });
  }
  const module = options.module ?? callerModule(import.meta.url);
  const folder = module === undefined ? undefined : path.dirname(fileURLToPath(module));
  const nodes = new LazyNodes({ name, module, pool: options.pool }, (spec) =>
    // What is there takes any argument; its types are for those who write in TypeScript.
    build(new Builder(spec, folder) as unknown as WorkflowBuilder<SchemaOutput<Schema>>),
  );
  return makeDefinition({ name, module, nodes, options, schema: options.input, given: undefined });
}

const MAX_NAME = 200;
/** What a larger workflow is submitted as is not kept: it may be large. */
const MAX_KEPT_NODES = 1_000;

/** The nodes of a definition, made when they are first asked for. */
class LazyNodes {
  readonly #builder: SpecBuilder;
  readonly #build: (builder: SpecBuilder) => unknown;
  #state: "unbuilt" | "building" | "built" = "unbuilt";

  constructor(
    {
      name,
      module,
      pool,
    }: { readonly name: string; readonly module: string | undefined; readonly pool: string | undefined },
    build: (builder: SpecBuilder) => unknown,
  ) {
    this.#builder = new SpecBuilder({ name, pool, home: module === undefined ? undefined : { module, name } });
    this.#build = build;
  }

  spec(): WorkflowSpec {
    if (this.#state === "building") this.#builder.problem("nodes", "contain the workflow itself");
    if (this.#state === "unbuilt") {
      this.#state = "building";
      const output = this.#build(this.#builder);
      this.#state = "built";
      if (output instanceof Promise)
        this.#builder.problem("nodes", "are defined by an async function; expected one that is done when it returns");
      else if (output !== undefined) this.#builder.setOutput(output);
    }
    return this.#builder.spec;
  }

  code(node: string): ReturnType<WorkflowSource["code"]> {
    this.spec();
    const condition = this.#builder.codeOf(node);
    return condition === undefined ? undefined : { condition };
  }
}

/** Where the nodes of a definition come from. */
export interface WorkflowParts {
  readonly name: string;
  readonly module: string | undefined;
  readonly nodes: Pick<WorkflowSource, "spec" | "code">;
  readonly options: Omit<WorkflowOptions, "input" | "module">;
  readonly schema: StandardSchema | undefined;
  /** Undefined: none was given. */
  readonly given: { readonly input: unknown } | undefined;
}

export function makeDefinition<Input, Output>(parts: WorkflowParts): WorkflowDefinition<Input, Output> {
  const { name, module, nodes } = parts;
  const settings = settingsOf(parts);
  const planned = async (): Promise<{ readonly plan: WorkflowPlan; readonly input: unknown }> => {
    const input = await checkedInput(parts);
    return { plan: await toPlan({ spec: nodes.spec(), settings, input }), input };
  };
  // Without an input it is the same every time: whoever submits it thousands of times has it made once.
  let kept: { readonly measured: Measured; readonly prepared: Prepared } | undefined;
  const definition: WorkflowDefinition<Input, Output> & WorkflowSource = {
    [DEFINITION_BRAND]: true,
    [WORKFLOW_BRAND]: true,
    kind: "workflow",
    name,
    module,
    inputSchema: parts.schema,
    spec: () => nodes.spec(),
    code: (node) => nodes.code(node),
    get needs() {
      const { nodes: specs } = nodes.spec();
      const compensating = specs.flatMap(({ compensate }) => (compensate === undefined ? [] : [compensate]));
      return needsOfHeads(
        specs.map(({ head }) => head),
        compensating,
      );
    },
    with: (input, options = {}) =>
      makeDefinition({ ...parts, options: { ...parts.options, ...options }, given: { input } }),
    plan: async () => (await planned()).plan,
    prepare: async (options) => {
      // Under a key a repeat must say the same, whatever was measured meanwhile.
      const measured = settings.key === undefined ? await options?.measure?.(name) : undefined;
      if (kept !== undefined && kept.measured === measured) return kept.prepared;
      const prepared = prepareWorkflow({ ...(await planned()), parts, measured });
      const isSmall = nodes.spec().nodes.length <= MAX_KEPT_NODES;
      if (isSmall && parts.given === undefined && parts.schema === undefined) kept = { measured, prepared };
      return prepared;
    },
    // What it answers depends on the input that it had; the execution's own notes know.
    reader: () => ({}),
  };
  return Object.freeze(definition);
}

interface ToPrepare {
  readonly plan: WorkflowPlan;
  readonly input: unknown;
  readonly parts: WorkflowParts;
  readonly measured: Measured;
}

type Measured = ReadonlyMap<string, number> | undefined;

function prepareWorkflow({ plan, input, parts, measured }: ToPrepare): Prepared {
  const output = fillInput(outputOf(parts.nodes.spec()), input);
  const { name, module } = parts;
  const meta = writeWorkflowNotes({ workflow: { name, ...(module === undefined ? {} : { module }) }, output });
  const { submission, rest, ids } = submissionOf(plan, { measured, meta });
  const reader: ExecutionReader = {
    openPoints: pointsFrom((index) => ids[index]),
    reduce: undefined,
    reducers: [],
    workflow: { output },
  };
  return { submission, rest, reader };
}

/** Errors: INVALID_OPTION. */
function settingsOf({ name, options }: WorkflowParts): PlanSettings {
  const of = `of workflow ${name}`;
  return {
    name,
    key: options.key,
    priority: toPriority(options.priority, `priority ${of}`),
    pool: options.pool ?? DEFAULT_POOL,
    failFast: options.failFast ?? true,
    retentionMs: options.retention === undefined ? undefined : parseDurationMs(options.retention, `retention ${of}`),
    keepInputs: options.keepInputs ?? true,
  };
}

/** Errors: INVALID_INPUT. */
async function checkedInput({ schema, given }: WorkflowParts): Promise<unknown> {
  const input = given?.input ?? null;
  if (schema === undefined) return asJson(input);
  const checked = checkAgainst(schema, given?.input);
  const verdict = checked instanceof Promise ? await checked : checked;
  if (verdict.ok) return asJson(verdict.value);
  const at = verdict.path.reduce<string>(pathTo, "input");
  const problem = given === undefined ? `${verdict.problem}; none was given` : verdict.problem;
  throw new HoldfastError("INVALID_INPUT", { path: at, problem });
}

/** As it would arrive anywhere else: a date is a text, what JSON cannot say is gone. Errors: INVALID_INPUT. */
function asJson(value: unknown): Json {
  const text = jsonText(value, "input");
  return text === undefined ? null : (JSON.parse(text) as Json);
}

export type { WorkflowBuilder } from "./workflow/builder.ts";
