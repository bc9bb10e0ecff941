/** From nodes that name each other to a graph, or to everything that is wrong with them. */
import { cyclesOf } from "./cycles.ts";
import { type Graph, type GraphNode, linksOf, reversed } from "./links.ts";
import { orderOf } from "./order.ts";
import { cycleProblem, type GraphProblem, IdGuesser, type NodeWords, shownId } from "./problems.ts";

export interface ReadGraphOptions {
  readonly words?: NodeWords;
  /** A parent that is named twice is one parent. Default: it is a problem. */
  readonly allowRepeats?: boolean;
}

export type ReadGraph =
  | { readonly graph: Graph; readonly problems?: undefined }
  | { readonly graph?: undefined; readonly problems: readonly GraphProblem[] };

const NODES: NodeWords = { one: "node", list: "nodes" };

/** Linear in nodes and edges. Problems come as they are found: ids, then dependencies, then cycles. */
export function readGraph(nodes: readonly GraphNode[], options: ReadGraphOptions = {}): ReadGraph {
  const problems: GraphProblem[] = [];
  const indexes = indexesOf(nodes, { words: options.words ?? NODES, problems });
  const parents = linksOf(parentLists(nodes, { indexes, problems, options }));
  const children = reversed(parents);
  const order = orderOf(parents, children);
  if (order.length < nodes.length) {
    for (const cycle of cyclesOf(parents)) problems.push(cycleProblem(nodes, cycle));
  }
  if (problems.length > 0) return { problems };
  return { graph: { nodes: nodes.length, edges: parents.ends.length, parents, children, order } };
}

interface Ids {
  readonly words: NodeWords;
  readonly problems: GraphProblem[];
}

/** Of nodes with the same id the first is the one that others mean. */
function indexesOf(nodes: readonly GraphNode[], { words, problems }: Ids): ReadonlyMap<string, number> {
  const indexes = new Map<string, number>();
  nodes.forEach(({ id }, node) => {
    const first = indexes.get(id);
    if (first === undefined) indexes.set(id, node);
    else {
      const problem = `is ${shownId(id)}, as is the id of ${words.list}[${first}]; ids must differ`;
      problems.push({ kind: "duplicate", node, problem });
    }
  });
  return indexes;
}

interface Dependencies {
  readonly indexes: ReadonlyMap<string, number>;
  readonly problems: GraphProblem[];
  readonly options: ReadGraphOptions;
}

function parentLists(
  nodes: readonly GraphNode[],
  { indexes, problems, options }: Dependencies,
): readonly (readonly number[])[] {
  const { words = NODES, allowRepeats = false } = options;
  const guesser = new IdGuesser(indexes);
  // Who named a node last: finds repeats without a set for every node.
  const namedBy = new Int32Array(nodes.length).fill(-1);
  return nodes.map(({ id, after }, node) => {
    const found: number[] = [];
    after.forEach((parent, dependency) => {
      const index = indexes.get(parent);
      // Said of few: text for every edge would cost more than all the rest.
      const is = (): string => `is ${shownId(parent)}`;
      if (parent === id)
        problems.push({ kind: "self", node, dependency, problem: `${is()}: a ${words.one} cannot depend on itself` });
      else if (index === undefined) {
        const problem = `${is()}, and there is no such ${words.one}${guesser.guess(parent)}`;
        problems.push({ kind: "unknown", node, dependency, problem });
      } else if (namedBy[index] === node) {
        if (!allowRepeats)
          problems.push({ kind: "repeated", node, dependency, problem: `${is()}, which is named before` });
      } else {
        namedBy[index] = node;
        found.push(index);
      }
    });
    return found;
  });
}
