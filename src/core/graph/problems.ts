/** What is wrong with a list of nodes that should be a graph without cycles, and how it is told. */
import { nearestName } from "../../util/nearest-name.ts";
import type { GraphNode } from "./links.ts";

export interface GraphProblem {
  readonly kind: "duplicate" | "self" | "unknown" | "repeated" | "cycle";
  /** Index of the node. */
  readonly node: number;
  /** Index within `after`; absent where the problem is the node's id. */
  readonly dependency?: number;
  /** To be read after the path of what is wrong: `is "a", and there is no such node`. */
  readonly problem: string;
}

/** How nodes are called by who reads of the problems. */
export interface NodeWords {
  /** `node` */
  readonly one: string;
  /** Name of the list: `nodes`. */
  readonly list: string;
}

/** Nodes named when a cycle is told. */
const MAX_SHOWN = 12;
const MAX_ID_SHOWN = 60;
/** Problems in a sentence of all; the rest is counted. */
const MAX_TOLD = 20;
/** Ids compared to find what was meant, in all. */
const MAX_COMPARED = 500_000;
/** Longer ids are not guessed. */
const MAX_GUESSED = 100;

export function shownId(id: string): string {
  return JSON.stringify(cut(id));
}

function cut(id: string): string {
  return id.length > MAX_ID_SHOWN ? `${id.slice(0, MAX_ID_SHOWN - 3)}...` : id;
}

/** A cycle is told where it is closed, as the way along which nodes wait for each other. */
export function cycleProblem(nodes: readonly GraphNode[], cycle: readonly number[]): GraphProblem {
  const [first = 0, second = first] = cycle;
  const ids = [...cycle, first].map((node) => cut(nodes[node]?.id ?? ""));
  const named =
    ids.length > MAX_SHOWN
      ? [...ids.slice(0, MAX_SHOWN - 2), `… ${ids.length - MAX_SHOWN + 1} more`, ids.at(-1) ?? ""]
      : ids;
  const dependency = nodes[first]?.after.indexOf(nodes[second]?.id ?? "") ?? 0;
  return { kind: "cycle", node: first, dependency, problem: `closes a cycle: ${named.join(" waits for ")}` };
}

/** Says which id was meant, as long as that does not take long. */
export class IdGuesser {
  readonly #ids: ReadonlyMap<string, number>;
  #compared = 0;

  constructor(ids: ReadonlyMap<string, number>) {
    this.#ids = ids;
  }

  /** `; did you mean "build"?`, or nothing. */
  guess(written: string): string {
    if (this.#compared > MAX_COMPARED || written.length > MAX_GUESSED) return "";
    this.#compared += this.#ids.size;
    const meant = nearestName(written, this.#ids.keys());
    return meant === undefined ? "" : `; did you mean ${shownId(meant)}?`;
  }
}

/** All problems in one text, each with the path of its node: `nodes.b.after[1] is "c", and there is no such node`. */
export function problemsText(problems: readonly GraphProblem[], nodes: readonly GraphNode[], list = "nodes"): string {
  const told = problems.slice(0, MAX_TOLD).map(({ node, dependency, problem }) => {
    const place = `${list}.${cut(nodes[node]?.id ?? "")}`;
    return `${place}${dependency === undefined ? "" : `.after[${dependency}]`} ${problem}`;
  });
  const more = problems.length - told.length;
  return [...told, ...(more === 0 ? [] : [`and ${more} more`])].join("; ");
}
