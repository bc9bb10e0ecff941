/**
 * WfFormat 1.5, the public format of recorded scientific workflows (github.com/wfcommons/WfFormat), as
 * far as it is needed to run one again: who comes after whom, how long each task took, how large its
 * files were. All else in a file may be anything.
 *
 * Entries are checked one by one, and checking ends after some problems: a file of millions of wrong
 * entries costs no more than reading it did.
 */
import * as z from "zod";
import { expected, type Fault, pathTo, shown } from "../../core/untrusted.ts";

export const WF_VERSION = "1.5";
/** Tasks of one file. */
export const MAX_WF_TASKS = 200_000;
const MAX_WF_FILES = 2_000_000;
/** Parents, children or files named by one task. */
const MAX_WF_LIST = MAX_WF_TASKS;
const MAX_WF_ID = 1_024;
/** A hundred years. */
const MAX_RUNTIME_S = 3_155_760_000;
/** Problems told of one file. */
const MAX_PROBLEMS = 20;

export interface WfTask {
  readonly id: string;
  readonly parents: readonly string[];
  readonly children: readonly string[];
  readonly outputFiles?: readonly string[] | undefined;
}

export interface WfDocument {
  readonly name: string;
  readonly tasks: readonly WfTask[];
  readonly files: readonly { readonly id: string; readonly sizeInBytes: number }[];
  readonly runs: readonly { readonly id: string; readonly runtimeInSeconds: number }[];
  readonly recordedMakespanS?: number;
}

/** What is wrong with a file: the first problems, and whether it is worth looking for more. */
export class WfProblems {
  readonly #faults: Fault[] = [];

  get isFull(): boolean {
    return this.#faults.length >= MAX_PROBLEMS;
  }

  get isEmpty(): boolean {
    return this.#faults.length === 0;
  }

  add(path: string, problem: string): void {
    if (!this.isFull) this.#faults.push({ path, problem });
  }

  /** Every problem of an entry that a schema did not take. */
  addIssues(error: z.ZodError, path: string): void {
    for (const issue of error.issues)
      this.add(
        issue.path.reduce<string>((parent, key) => (parent === "" ? String(key) : pathTo(parent, key)), path),
        issue.message,
      );
  }

  toString(): string {
    return this.#faults.map(({ path, problem }) => (path === "" ? problem : `${path} ${problem}`)).join("; ");
  }
}

const id = z.string(expected("an id")).min(1, expected("an id")).max(MAX_WF_ID, expected("a shorter id"));
/** Only its length is looked at here. */
const entries = (what: string, limit: number): z.ZodType<readonly unknown[]> =>
  z.array(z.unknown(), expected(what)).max(limit, { error: `has more than ${limit} entries` });

/** One issue, at the first entry that is none. */
const ids = z.unknown().transform((value, context): readonly string[] => {
  if (!Array.isArray(value)) {
    context.addIssue({ code: "custom", message: `is ${shown(value)}; expected a list of ids` });
    return z.NEVER;
  }
  const wrong = value.findIndex((entry) => typeof entry !== "string" || entry === "" || entry.length > MAX_WF_ID);
  if (wrong !== -1)
    context.addIssue({ code: "custom", path: [wrong], message: `is ${shown(value[wrong])}; expected an id` });
  else if (value.length > MAX_WF_LIST)
    context.addIssue({ code: "custom", message: `has more than ${MAX_WF_LIST} entries` });
  else return value as readonly string[];
  return z.NEVER;
});

const documentSchema = z.object({
  name: z.string(expected("the workflow's name")),
  schemaVersion: z.literal(WF_VERSION, expected(`"${WF_VERSION}", the version that can be read`)),
  workflow: z.object(
    {
      specification: z.object(
        {
          tasks: entries("the list of tasks", MAX_WF_TASKS),
          files: z.optional(entries("a list of files", MAX_WF_FILES)),
        },
        expected("an object with the tasks"),
      ),
      execution: z.object(
        {
          makespanInSeconds: z.optional(z.number(expected("a number"))),
          tasks: entries("the list of tasks as they ran", MAX_WF_TASKS),
        },
        expected("an object with the tasks as they ran: without it there are no times to replay"),
      ),
    },
    expected("an object with specification and execution"),
  ),
});

const taskSchema: z.ZodType<WfTask> = z.object(
  { id, parents: ids, children: ids, outputFiles: z.optional(ids) },
  expected("a task"),
);
const fileSchema = z.object(
  { id, sizeInBytes: z.number(expected("a size in bytes")).min(0, expected("0 or more")) },
  expected("a file"),
);
const runSchema = z.object(
  {
    id,
    runtimeInSeconds: z
      .number(expected("seconds"))
      .min(0, expected("0 or more seconds"))
      .max(MAX_RUNTIME_S, expected("less than a hundred years")),
  },
  expected("a task as it ran"),
);

/** Undefined where `problems` say why. */
export function parseWfDocument(json: unknown, problems: WfProblems): WfDocument | undefined {
  const parsed = documentSchema.safeParse(json);
  if (!parsed.success) {
    problems.addIssues(parsed.error, "");
    return undefined;
  }
  const { name, workflow } = parsed.data;
  const { specification, execution } = workflow;
  if (specification.tasks.length === 0) problems.add("workflow.specification.tasks", "is empty; expected tasks");
  const each = <T>(schema: z.ZodType<T>, values: readonly unknown[], path: string): readonly T[] => {
    const taken: T[] = [];
    values.forEach((value, at) => {
      if (problems.isFull) return;
      const entry = schema.safeParse(value);
      if (entry.success) taken.push(entry.data);
      else problems.addIssues(entry.error, `${path}[${at}]`);
    });
    return taken;
  };
  const tasks = each(taskSchema, specification.tasks, "workflow.specification.tasks");
  const files = each(fileSchema, specification.files ?? [], "workflow.specification.files");
  const runs = each(runSchema, execution.tasks, "workflow.execution.tasks");
  if (!problems.isEmpty) return undefined;
  const recordedMakespanS = execution.makespanInSeconds;
  return { name, tasks, files, runs, ...(recordedMakespanS === undefined ? {} : { recordedMakespanS }) };
}
