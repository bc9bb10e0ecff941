/**
 * Workflow files: YAML or JSON for people who do not write TypeScript. A file becomes the same
 * definition that `defineWorkflow` makes; what is wrong with it is told all at once, each with its line.
 */
import { readFile, stat } from "node:fs/promises";
import path from "node:path";
import * as z from "zod";
import { HoldfastError } from "../../../errors/index.ts";
import { isPlainObject, shown } from "../../../core/untrusted.ts";
import type { Duration } from "../../../util/units.ts";
import type { StandardSchema } from "../../standard-schema.ts";
import { makeDefinition, type WorkflowDefinition } from "../../workflow.ts";
import type { WorkflowSource } from "../source.ts";
import { SpecBuilder } from "../spec-builder.ts";
import { checkSpec } from "../to-plan.ts";
import { References } from "./modules.ts";
import { buildNodes } from "./nodes.ts";
import { parseText } from "./places.ts";
import { FileProblems } from "./problems.ts";
import { withReferences } from "./references.ts";
import { type FileHead, headSchema } from "./schema.ts";
import { addIssues, suggestion } from "./issues.ts";

/** Larger ones are no longer written by people; programs have `defineWorkflow`. */
const MAX_FILE_BYTES = 16 * 1_048_576;
/** Files that name each other as parts. */
const MAX_FILES_DEEP = 16;

export interface WorkflowFileOptions {
  /** As the person wrote it, for problems. Default: the path. */
  readonly shown?: string;
  /** Files that name this one as a part. */
  readonly chain?: readonly string[];
}

/**
 * @throws HoldfastError INVALID_WORKFLOW with every problem and its line, INVALID_FILE when it is no file
 * of a workflow at all.
 */
export async function loadWorkflowFile(file: string, options: WorkflowFileOptions = {}): Promise<WorkflowDefinition> {
  const { shown: name = file, chain = [] } = options;
  if (chain.includes(file))
    throw invalid(name, `it is a part of itself: ${[...chain, file].map(baseName).join(" → ")}`);
  if (chain.length >= MAX_FILES_DEEP) throw invalid(name, `parts within parts, more than ${MAX_FILES_DEEP} deep`);
  return new FileReader(file, name, [...chain, file]).read(await textOf(file, name));
}

/** A JSON or YAML value that means to be a workflow of ours: it has `nodes`. */
export function isWorkflowFile(value: unknown): boolean {
  return isPlainObject(value) && "nodes" in value;
}

async function textOf(file: string, name: string): Promise<string> {
  try {
    const { size } = await stat(file);
    if (size > MAX_FILE_BYTES) throw invalid(name, `it has ${size} bytes; at most ${MAX_FILE_BYTES}`);
    return await readFile(file, "utf8");
  } catch (thrown) {
    if (HoldfastError.is(thrown)) throw thrown;
    throw invalid(name, thrown instanceof Error ? thrown.message : String(thrown));
  }
}

class FileReader {
  readonly #file: string;
  readonly #problems: FileProblems;
  readonly #references: References;

  constructor(file: string, name: string, chain: readonly string[]) {
    this.#file = file;
    this.#problems = new FileProblems(name);
    const folder = path.dirname(file);
    // As it was written from here, so that its problems name a file that can be clicked on.
    const nameOf = (part: string): string => path.join(path.dirname(name), path.relative(folder, part));
    this.#references = new References(folder, async (part) => {
      const definition = await loadWorkflowFile(part, { shown: nameOf(part), chain });
      return definition as WorkflowDefinition & WorkflowSource;
    });
  }

  async read(text: string): Promise<WorkflowDefinition> {
    const problems = this.#problems;
    const parsed = parseText(text);
    if (parsed.problems !== undefined) {
      for (const { problem, ...place } of parsed.problems) problems.at(place, problem);
      throw problems.toError();
    }
    problems.places = parsed.places;
    const head = this.#readHead(parsed.value);
    if (head === undefined) throw problems.toError();
    const name = head.name ?? baseName(this.#file).replace(/\.\w+$/, "");
    const builder = new SpecBuilder({ name, pool: head.pool });
    await buildNodes(head.nodes, {
      builder,
      problems,
      references: this.#references,
      folder: path.dirname(this.#file),
    });
    if (head.output !== undefined) {
      const report = (at: string, problem: string): void => builder.problem(at, problem);
      builder.setOutput(withReferences(head.output, "output", report));
    }
    const checked = await checkSpec(builder.spec);
    problems.addAll(checked.problems, Object.keys(head.nodes));
    if (problems.count > 0) throw problems.toError();
    return definitionOf(head, name, builder);
  }

  #readHead(value: unknown): FileHead | undefined {
    if (!isPlainObject(value)) {
      this.#problems.add([], `is ${shown(value)}; expected a workflow: name, nodes …`);
      return undefined;
    }
    // Editors find the schema by it.
    const { $schema: _schema, ...fields } = value;
    const read = headSchema.safeParse(fields, { reportInput: true });
    if (read.success) return read.data;
    if (!("nodes" in fields)) {
      const hint = suggestion("nodes", Object.keys(fields));
      this.#problems.add([], `has no nodes${hint}; expected \`nodes:\` with a node per id`);
    }
    addIssues(
      this.#problems,
      read.error.issues.filter(({ path: at }) => at[0] !== "nodes" || "nodes" in fields),
      {
        path: [],
        known: Object.keys(headSchema.shape),
      },
    );
    return undefined;
  }
}

function definitionOf(head: FileHead, name: string, builder: SpecBuilder): WorkflowDefinition {
  const { priority, failFast, keepInputs, retention, pool, input } = head;
  const spec = builder.spec;
  return makeDefinition({
    name,
    module: undefined,
    nodes: { spec: () => spec, code: () => undefined },
    options: {
      ...(priority === undefined ? {} : { priority: priority as 1 }),
      ...(failFast === undefined ? {} : { failFast }),
      ...(keepInputs === undefined ? {} : { keepInputs }),
      ...(retention === undefined ? {} : { retention: retention as Duration }),
      ...(pool === undefined ? {} : { pool }),
    },
    schema: input === undefined ? undefined : inputSchema(input),
    given: undefined,
  });
}

const TYPES = {
  text: z.string(),
  number: z.number(),
  boolean: z.boolean(),
  list: z.array(z.json()),
  object: z.record(z.string(), z.json()),
  any: z.json(),
};

function inputSchema(fields: NonNullable<FileHead["input"]>): StandardSchema {
  const shape = Object.entries(fields).map(([name, field]) => {
    const { type = "any", default: byDefault } = typeof field === "string" ? { type: field } : field;
    const schema: z.ZodType = TYPES[type];
    return [name, byDefault === undefined ? schema : schema.default(byDefault)] as const;
  });
  // No input at all is as good as none of its fields.
  return z.preprocess((given) => given ?? {}, z.strictObject(Object.fromEntries(shape)));
}

function baseName(file: string): string {
  return path.basename(file);
}

function invalid(file: string, problem: string): HoldfastError {
  return new HoldfastError("INVALID_FILE", { file, problem });
}
