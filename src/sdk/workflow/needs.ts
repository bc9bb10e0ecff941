/** What workers a workflow needs: one entry per pool and capabilities, also for what its nodes add while they run. */
import type { WorkerNeeds } from "../definition.ts";
import type { GroupHead, NodeHandler } from "./node.ts";

export function needsOfHeads(heads: Iterable<GroupHead>, more: readonly WorkerNeeds[] = []): readonly WorkerNeeds[] {
  const found = new Map<string, WorkerNeeds>();
  for (const { pool, requires } of more) found.set(JSON.stringify([pool, requires]), { pool, requires });
  const seen = new Set<string>();
  const visit = (head: GroupHead): void => {
    const { pool, requires, handler } = head;
    found.set(JSON.stringify([pool, requires]), { pool, requires });
    if (seen.has(handler)) return;
    seen.add(handler);
    for (const inner of headsWithin(handler)) visit(inner);
  };
  for (const head of new Set(heads)) visit(head);
  return [...found.values()];
}

function headsWithin(handler: string): readonly GroupHead[] {
  const { does } = JSON.parse(handler) as NodeHandler;
  switch (does.kind) {
    case "map":
      return [does.each];
    case "workflow":
      return does.groups;
    case "compensate":
      return does.nodes.map(({ group }) => group);
    default:
      return [];
  }
}
