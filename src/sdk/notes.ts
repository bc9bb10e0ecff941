/**
 * What the submitter writes on an execution (`Submission.meta`), so that another process, later, can
 * read its results with their points and merge its aggregate.
 */
import { z } from "zod";
import { type ReduceSpec, validateReduce } from "../core/aggregate.ts";
import { type SpaceSpec, validateSpace } from "../core/space.ts";

export interface Notes {
  readonly task: { readonly module: string; readonly name: string };
  readonly space?: SpaceSpec;
  readonly reduce?: ReduceSpec;
}

/** Notes come with every look at the execution; a longer space stays out of them. */
const MAX_SPACE_TEXT = 65_536;
const VERSION = 1;

const envelope = z.object({
  version: z.literal(VERSION),
  task: z.object({ module: z.string(), name: z.string() }),
  space: z.unknown().optional(),
  reduce: z.unknown().optional(),
});

export function writeNotes(notes: Notes): string {
  const { task, space, reduce } = notes;
  const fits = space !== undefined && JSON.stringify(space).length <= MAX_SPACE_TEXT;
  return JSON.stringify({
    version: VERSION,
    task,
    ...(fits ? { space } : {}),
    ...(reduce === undefined ? {} : { reduce }),
  });
}

/** The notes, or undefined when there are none that this version can read: somebody else submitted it. */
export function readNotes(meta: string | undefined): Notes | undefined {
  if (meta === undefined) return undefined;
  try {
    const { task, space, reduce } = envelope.parse(JSON.parse(meta));
    return {
      task,
      ...(space === undefined ? {} : { space: validateSpace(space) }),
      ...(reduce === undefined ? {} : { reduce: validateReduce(reduce) }),
    };
  } catch {
    // Notes are a convenience; an execution without them is still read, only without its points.
    return undefined;
  }
}
