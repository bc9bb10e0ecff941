/**
 * The demo's tasks, as workers load them, and the workflow made of them. An ordinary user module.
 *
 * A piece of work takes its time and answers with a digest over its own name and the digests of the
 * pieces that it was made from. So the last digests are right only if every task ran with the outputs of
 * all its parents; `expectedDigests` tells what they must be.
 */
import { createHash } from "node:crypto";
import { z } from "zod";
import { defineTask } from "../../../sdk/task.ts";
import { defineWorkflow } from "../../../sdk/workflow.ts";
import type { WorkflowBuilder } from "../../../sdk/workflow/builder.ts";
import type { NodeHandle } from "../../../sdk/workflow/reference.ts";
import { sleep, systemClock } from "../../../util/clock.ts";
import { DELIVERY } from "./delivery.ts";

const piece = z.object({ node: z.string(), digest: z.string() });

export type Piece = z.output<typeof piece>;

export const deliver = defineTask({
  name: "deliver",
  input: z.object({
    node: z.string(),
    ms: z.number().min(0).max(3_600_000),
    seed: z.number().int(),
    parts: z.record(z.string(), piece),
  }),
  run: async ({ node, ms, seed, parts }, ctx): Promise<Piece> => {
    await sleep(systemClock({ keepAlive: true }), ms, ctx.signal);
    return { node, digest: digestOf({ node, seed, parts: Object.values(parts).map(({ digest }) => digest) }) };
  },
});

/** Does nothing: for measuring what a task costs from end to end. */
export const passOn = defineTask({ name: "pass-on", run: (input: number) => input });

/** One delivery; the seed makes it another one than the rest. */
export function deliveryWorkflow({ unitMs, seed }: { readonly unitMs: number; readonly seed: number }) {
  const build = (w: WorkflowBuilder): void => {
    const handles = new Map<string, NodeHandle<Piece>>();
    for (const { id, pool, effort, after } of DELIVERY) {
      const parents = after.flatMap((parent) => handles.get(parent) ?? []);
      const parts = Object.fromEntries(parents.map((parent) => [parent.id, parent.output()]));
      const ms = effort * unitMs;
      handles.set(
        id,
        w.task(id, deliver, { pool, estimate: ms, after: parents, input: { node: id, ms, seed, parts } }),
      );
    }
  };
  return defineWorkflow("software-delivery", build, { priority: "deployment" });
}

/** Digest of every node's output for a seed. */
export function expectedDigests(seed: number): ReadonlyMap<string, string> {
  const digests = new Map<string, string>();
  for (const { id, after } of DELIVERY) {
    digests.set(id, digestOf({ node: id, seed, parts: after.map((parent) => digests.get(parent) ?? "") }));
  }
  return digests;
}

function digestOf({
  node,
  seed,
  parts,
}: {
  readonly node: string;
  readonly seed: number;
  readonly parts: readonly string[];
}): string {
  const text = JSON.stringify([node, seed, [...parts].sort()]);
  return createHash("sha256").update(text).digest("hex");
}
