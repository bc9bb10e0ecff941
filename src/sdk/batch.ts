/**
 * Batches: one task over a list of inputs, each a task of its own with its own attempts and retries.
 */
import type { TaskGroup, TaskList } from "../broker/contract.ts";
import { MAX_PAYLOAD, MAX_TASKS_PER_CALL, MAX_TASKS_PER_EXECUTION } from "../broker/limits.ts";
import { jsonFault } from "../core/untrusted.ts";
import { HoldfastError } from "../errors/index.ts";
import { joined } from "./check-points.ts";
import {
  type Definition,
  DEFINITION_BRAND,
  executionFields,
  type ExecutionOptions,
  groupFields,
  needsOf,
  payloadText,
  type Prepared,
} from "./definition.ts";
import { writeNotes } from "./notes.ts";
import { pointsFrom } from "./points.ts";
import { checkAgainst, type StandardSchema } from "./standard-schema.ts";
import type { TaskDefinition } from "./task.ts";

export type BatchOptions = ExecutionOptions;

/** Text of one call; above it a batch is sent in several. One input alone may be larger. */
const MAX_CALL_LENGTH = 4 * MAX_PAYLOAD;

/**
 * A batch: `task` once for every input. Sent in several calls where it is large; it runs from the
 * first and is complete when the last has arrived.
 *
 * @example
 * const execution = await client.submit(batch(resize, files.map((file) => ({ file, width: 800 }))));
 */
export function batch<Input, Parsed, Output>(
  task: TaskDefinition<Input, Parsed, Output>,
  inputs: Iterable<NoInfer<Input>>,
  options: BatchOptions = {},
): Definition<Input, Output, never> {
  const all: readonly unknown[] = [...inputs];
  return Object.freeze({
    [DEFINITION_BRAND]: true as const,
    kind: "batch" as const,
    name: options.name ?? task.name,
    needs: [needsOf(options, task)],
    prepare: () => prepareBatch(task, all, options),
    reader: () => ({ openPoints: pointsFrom((index) => all[index]) }),
  });
}

async function prepareBatch(
  task: TaskDefinition,
  inputs: readonly unknown[],
  options: BatchOptions,
): Promise<Prepared> {
  if (inputs.length === 0)
    throw new HoldfastError("INVALID_INPUT", { path: "inputs", problem: "is empty; expected at least one input" });
  if (inputs.length > MAX_TASKS_PER_EXECUTION) {
    throw new HoldfastError("BATCH_TOO_LARGE", {
      what: "inputs",
      count: inputs.length,
      limit: MAX_TASKS_PER_EXECUTION,
    });
  }
  const texts = await inputTexts(inputs, task.input);
  const fields = groupFields(options, task);
  const [first, ...rest] = inCalls(texts).map((part): TaskGroup => {
    const work: TaskList = { kind: "tasks", inputs: part };
    return { ...fields, work };
  });
  return {
    submission: {
      kind: "batch",
      ...executionFields(options, task),
      groups: first === undefined ? [] : [first],
      ...(rest.length === 0 ? {} : { open: true }),
      meta: writeNotes({ task: { module: task.module ?? "", name: task.name } }),
    },
    rest: rest.map((group) => [group]),
    reader: { openPoints: pointsFrom((index) => inputs[index]), reduce: undefined, reducers: [] },
  };
}

/** The inputs as JSON, each accepted by the task's schema. */
async function inputTexts(inputs: readonly unknown[], schema: StandardSchema | undefined): Promise<readonly string[]> {
  const texts: string[] = [];
  for (const [index, input] of inputs.entries()) {
    const path = `inputs[${index}]`;
    if (schema !== undefined) {
      const checked = checkAgainst(schema, input);
      const verdict = checked instanceof Promise ? await checked : checked;
      if (!verdict.ok)
        throw new HoldfastError("INVALID_INPUT", { path: joined(path, verdict.path), problem: verdict.problem });
    }
    const fault = jsonFault(input, path);
    if (fault !== undefined) throw new HoldfastError("INVALID_INPUT", { path: fault.path, problem: fault.problem });
    texts.push(payloadText(input, path));
  }
  return texts;
}

/** Cuts a batch into calls that a broker takes. The cut depends on the inputs only, so that a repeat cuts alike. */
export function inCalls(texts: readonly string[]): readonly (readonly string[])[] {
  const calls: string[][] = [];
  let length = Infinity;
  for (const text of texts) {
    const latest = calls.at(-1);
    if (latest === undefined || latest.length >= MAX_TASKS_PER_CALL || length + text.length > MAX_CALL_LENGTH) {
      calls.push([text]);
      length = text.length;
    } else {
      latest.push(text);
      length += text.length;
    }
  }
  return calls;
}
