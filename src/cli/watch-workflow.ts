/** Shows a workflow's progress: a line for every node that has ended, in a large one only how far it is. */
import type { Execution } from "../sdk/execution.ts";
import type { NodeStatus } from "../sdk/workflow/nodes.ts";
import { duration } from "./terminal/figures.ts";
import type { Screen } from "./terminal/screen.ts";
import { cut, printable } from "./terminal/text-width.ts";
import { watchExecution, type WatchOptions } from "./watch-execution.ts";

/** More would run through the screen faster than anybody reads. */
const MAX_NODES_TOLD = 200;

/** Throws the signal's reason when interrupted. */
export async function watchWorkflow(execution: Execution, options: WatchOptions): Promise<void> {
  const { counters } = await execution.status();
  if (counters.total > MAX_NODES_TOLD) return watchExecution(execution, options);
  const done = new AbortController();
  const telling = tellNodes(execution, options, AbortSignal.any([options.signal, done.signal]));
  try {
    await watchExecution(execution, options);
    await telling;
  } finally {
    done.abort();
    await telling.catch(ignore);
  }
}

async function tellNodes(execution: Execution, { screen, clock }: WatchOptions, signal: AbortSignal): Promise<void> {
  const startedAt = new Map<string, number>();
  const suspended = new Set<string>();
  for await (const node of execution.nodes({ signal })) {
    if (node.reason === "suspended") suspended.add(node.id);
    if (node.state === "running" && !startedAt.has(node.id)) startedAt.set(node.id, clock.now());
    const started = startedAt.get(node.id);
    const line = nodeLine(screen, node, {
      tookMs: started === undefined ? undefined : clock.now() - started,
      // What goes on after it has waited has not failed before.
      wasTried: node.attempts > 1 && !suspended.has(node.id),
    });
    if (line !== undefined) screen.print(line);
  }
}

/** Undefined for states that are not worth a line. */
export function nodeLine(
  { theme, terminal }: Pick<Screen, "theme" | "terminal">,
  { id, state, worker, attempts, reason }: NodeStatus,
  { tookMs, wasTried }: { readonly tookMs: number | undefined; readonly wasTried: boolean },
): string | undefined {
  const signs: Partial<Record<NodeStatus["state"], string>> = {
    completed: theme.good(theme.signs.check),
    failed: theme.bad(theme.signs.cross),
    skipped: theme.faint(theme.signs.dash),
    cancelled: theme.faint(theme.signs.cross),
  };
  const sign = signs[state];
  if (sign === undefined) return undefined;
  const how = state === "completed" ? [] : [reason === "condition" ? "skipped by its condition" : state];
  const facts = [
    ...how,
    ...(state === "completed" && tookMs !== undefined ? [duration(tookMs)] : []),
    ...(wasTried ? [`attempt ${attempts}`] : []),
    ...(worker === undefined || state === "skipped" ? [] : [printable(worker)]),
  ];
  const text = cut(`${printable(id)}  ${facts.join(", ")}`, terminal.columns - 3, theme.signs.ellipsis);
  return `${sign} ${text}`;
}

function ignore(): void {
  // That it was stopped is told by who stopped it.
}
