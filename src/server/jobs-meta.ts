/** What is noted on an execution that was made of jobs. */
import * as z from "zod";

const jobsMeta = z.object({
  kind: z.literal("jobs"),
  workflowId: z.string(),
  parallelism: z.number(),
  jobCount: z.number(),
});

export type JobsMeta = z.output<typeof jobsMeta>;

/** The note; undefined where somebody else submitted the execution. */
export function readJobsMeta(meta: string | undefined): JobsMeta | undefined {
  if (meta === undefined) return undefined;
  try {
    return jobsMeta.parse(JSON.parse(meta));
  } catch {
    return undefined;
  }
}
