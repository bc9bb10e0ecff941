/**
 * Skips within a workflow that is a part of another.
 *
 * A part waits for all of its nodes, so a broker that skips what comes after a skipped node would skip the part
 * with it. Therefore a node of a part whose condition is false lets everything after it start; whatever must not run
 * then finds that it `needs` a node that has no output, and skips itself in the same way.
 */
import type { PlannedNode } from "./plan.ts";
import type { NodeSpec } from "./spec.ts";

/** Nodes by id, each after all that it comes after. */
export interface Ordered {
  readonly spec: NodeSpec;
  readonly planned: PlannedNode;
}

/** What it means to be without an output: that what comes after the node goes on all the same. */
function goesOn({ onSkip, head }: NodeSpec): boolean {
  return onSkip === "release" || head.onFailure === "continue";
}

function mayBeDropped({ condition, onSkip }: NodeSpec): boolean {
  return condition !== undefined && onSkip !== "release";
}

/** The nodes of a part with what they need, in the given order. */
export function withNeeds(nodes: readonly Ordered[]): readonly PlannedNode[] {
  if (!nodes.some(({ spec }) => mayBeDropped(spec))) return nodes.map(({ planned }) => planned);
  const specs = new Map(nodes.map(({ spec }) => [spec.id, spec]));
  const needs = new Map<string, ReadonlySet<string>>();
  return nodes.map(({ spec, planned }) => {
    const own = new Set<string>();
    for (const parent of spec.after) {
      const parentSpec = specs.get(parent);
      const parentNeeds = needs.get(parent) ?? NOTHING;
      if (parentSpec === undefined) continue;
      if (goesOn(parentSpec)) for (const need of parentNeeds) own.add(need);
      else if (parentNeeds.size > 0 || mayBeDropped(parentSpec)) own.add(parent);
    }
    needs.set(spec.id, own);
    return {
      ...planned,
      after: [...new Set([...planned.after, ...own])],
      uses: [...new Set([...planned.uses, ...own])],
      input: {
        ...planned.input,
        ...(own.size === 0 ? {} : { needs: [...own] }),
        ...(mayBeDropped(spec) ? { onSkip: "release" as const } : {}),
      },
    };
  });
}

const NOTHING: ReadonlySet<string> = new Set();

/** A node whose missing output may mean either, that it was skipped or that it failed and lets others go on. */
export function ambiguousNode(specs: readonly NodeSpec[]): string | undefined {
  const parents = new Set(specs.flatMap(({ after }) => after));
  return specs.find((spec) => mayBeDropped(spec) && spec.head.onFailure === "continue" && parents.has(spec.id))?.id;
}
