/** What the submitter of a workflow writes on its execution, so that another process can read its answer. */
import { z } from "zod";
import type { Template } from "./node.ts";

export interface WorkflowNotes {
  readonly workflow: { readonly module?: string; readonly name: string };
  /** What it answers; absent where that is too long for notes. */
  readonly output?: Template;
}

/** Notes come with every look at the execution. */
const MAX_OUTPUT_TEXT = 16_384;

const envelope = z.object({
  version: z.literal(1),
  workflow: z.object({ module: z.exactOptional(z.string()), name: z.string() }),
  output: z.exactOptional(z.json()),
});

export function writeWorkflowNotes({ workflow, output }: WorkflowNotes): string {
  const fits = output !== undefined && JSON.stringify(output).length <= MAX_OUTPUT_TEXT;
  return JSON.stringify({ version: 1, workflow, ...(fits ? { output } : {}) });
}

/** Undefined where there are none: it is no workflow, or somebody else submitted it. */
export function readWorkflowNotes(meta: string | undefined): WorkflowNotes | undefined {
  if (meta === undefined) return undefined;
  try {
    const { workflow, output } = envelope.parse(JSON.parse(meta));
    return { workflow, ...(output === undefined ? {} : { output: output as Template }) };
  } catch {
    // Notes are a convenience; without them the execution is still read node by node.
    return undefined;
  }
}
