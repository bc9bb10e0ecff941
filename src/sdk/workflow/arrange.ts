/**
 * From nodes that name each other to numbered tasks in groups, as a broker takes them.
 *
 * Every task comes after its parents; among the nodes that could come next, those that share their
 * group with the one before go first, so that 100,000 nodes of one kind are one group a call.
 */
import type { TaskGroup } from "../../broker/contract.ts";
import { MAX_PAYLOAD, MAX_TASKS_PER_CALL } from "../../broker/limits.ts";
import { type Graph, linked, rankOf, remainingWays } from "../../core/graph.ts";
import type { GroupHead, NodeInput } from "./node.ts";
import type { PlannedNode } from "./plan.ts";

/** Text of one call; above it a workflow is sent in several. One task alone may be larger. */
const MAX_CALL_LENGTH = 4 * MAX_PAYLOAD;
/** About what the number of a parent, a rank and what lies between them take. */
const EDGE_LENGTH = 9;
const TASK_LENGTH = 40;
export interface Arrangement {
  /** Nodes (indexes) by number. */
  readonly order: Int32Array;
  /** Groups of each call, in order. */
  readonly parts: readonly (readonly TaskGroup[])[];
}

export interface ArrangeParams {
  readonly nodes: readonly PlannedNode[];
  readonly graph: Graph;
  /** Milliseconds, by node. */
  readonly durationsMs: ArrayLike<number>;
}

export function arrange({ nodes, graph, durationsMs }: ArrangeParams): Arrangement {
  const heads = headIndexes(nodes);
  const order = orderByHead(graph, heads);
  const places = new Int32Array(order.length);
  order.forEach((node, place) => {
    places[node] = place;
  });
  const remaining = remainingWays(graph, durationsMs);
  const ranks = Float64Array.from(nodes, ({ priority }, node) => rankOf(priority, remaining[node] ?? 0));
  const writer = new PartWriter(ranksMatter({ nodes, order, ranks }) ? ranks : undefined);
  for (const [place, index] of order.entries()) {
    const node = nodes[index] as PlannedNode;
    const after = Array.from(linked(graph.parents, index), (parent) => places[parent] as number).sort((a, b) => a - b);
    const input = inputText(node, {
      place,
      placeOf: places,
      ids: nodes,
      parents: linked(graph.parents, index),
      rank: ranks[index] ?? 0,
    });
    writer.add({ index, node, head: heads[index] as number, after, input });
  }
  return { order, parts: writer.parts };
}

interface InputPlace {
  readonly place: number;
  readonly placeOf: Int32Array;
  readonly ids: readonly PlannedNode[];
  readonly parents: Int32Array;
  readonly rank: number;
}

/** A node's input: what was planned, and how far away the nodes that it uses are. */
function inputText({ uses, input, addsTasks }: PlannedNode, at: InputPlace): string {
  const rank = addsTasks === true ? { rank: at.rank } : {};
  if (uses.length === 0) return JSON.stringify({ ...input, ...rank });
  const wanted = new Set(uses);
  const outputs: Record<string, number> = {};
  for (const parent of at.parents) {
    const id = at.ids[parent]?.id;
    if (id !== undefined && wanted.has(id)) outputs[id] = (at.placeOf[parent] as number) - at.place;
  }
  const whole: NodeInput = { ...input, outputs, ...rank };
  return JSON.stringify(whole);
}

/** One number for all nodes with equal heads. */
function headIndexes(nodes: readonly PlannedNode[]): Int32Array {
  const byHead = new Map<GroupHead, number>();
  const byText = new Map<string, number>();
  return Int32Array.from(nodes, ({ head }) => {
    const known = byHead.get(head);
    if (known !== undefined) return known;
    const text = JSON.stringify(head);
    const index = byText.get(text) ?? byText.size;
    byText.set(text, index);
    byHead.set(head, index);
    return index;
  });
}

/** Goes on with the nodes of one head as long as there are ready ones, then with the head that waits longest. */
function orderByHead({ nodes, parents, children }: Graph, heads: Int32Array): Int32Array {
  const waitsFor = new Int32Array(nodes);
  const ready = new Map<number, number[]>();
  const turns: number[] = [];
  const makeReady = (node: number): void => {
    const head = heads[node] as number;
    const queue = ready.get(head);
    if (queue === undefined) {
      ready.set(head, [node]);
      turns.push(head);
    } else queue.push(node);
  };
  for (let node = 0; node < nodes; node += 1) {
    waitsFor[node] = (parents.starts[node + 1] as number) - (parents.starts[node] as number);
    if (waitsFor[node] === 0) makeReady(node);
  }
  const order = new Int32Array(nodes);
  let count = 0;
  for (let turn = 0; turn < turns.length; turn += 1) {
    const head = turns[turn] as number;
    // The queue grows while it is gone through.
    const queue = ready.get(head) as number[];
    for (let at = 0; at < queue.length; at += 1) {
      const node = queue[at] as number;
      order[count] = node;
      count += 1;
      for (let edge = children.starts[node] as number; edge < (children.starts[node + 1] as number); edge += 1) {
        const child = children.ends[edge] as number;
        const left = (waitsFor[child] as number) - 1;
        waitsFor[child] = left;
        if (left === 0) makeReady(child);
      }
    }
    ready.delete(head);
  }
  return order;
}

/** Without ranks tasks go by their numbers. Ranks are needed where, among those for the same workers, that is another order. */
function ranksMatter({
  nodes,
  order,
  ranks,
}: {
  readonly nodes: readonly PlannedNode[];
  readonly order: Int32Array;
  readonly ranks: Float64Array;
}): boolean {
  const lowest = new Map<string, number>();
  const keys = new Map<GroupHead, string>();
  for (const index of order) {
    const { head, addsTasks } = nodes[index] as PlannedNode;
    if (addsTasks === true) return true; // what it adds is ranked among the others
    let key = keys.get(head);
    if (key === undefined) keys.set(head, (key = JSON.stringify([head.pool, head.requires.toSorted()])));
    const rank = ranks[index] as number;
    if (rank > (lowest.get(key) ?? Infinity)) return true;
    lowest.set(key, rank);
  }
  return false;
}

interface NextTask {
  readonly index: number;
  readonly node: PlannedNode;
  readonly head: number;
  readonly after: readonly number[];
  readonly input: string;
}

/** Lists of the group that is being filled. */
interface OpenGroup {
  readonly head: number;
  readonly group: TaskGroup;
  readonly inputs: string[];
  readonly labels: string[];
  readonly after: (readonly number[])[];
  readonly ranks: number[];
}

class PartWriter {
  readonly parts: TaskGroup[][] = [];
  readonly #ranks: Float64Array | undefined;
  #open: OpenGroup | undefined;
  #tasks = 0;
  #length = 0;

  constructor(ranks: Float64Array | undefined) {
    this.#ranks = ranks;
  }

  add({ index, node, head, after, input }: NextTask): void {
    const length = input.length + node.id.length + after.length * EDGE_LENGTH + TASK_LENGTH;
    const isFull = this.#tasks >= MAX_TASKS_PER_CALL || this.#length + length > MAX_CALL_LENGTH;
    if (this.parts.length === 0 || isFull) this.#beginPart();
    if (this.#open?.head !== head) this.#beginGroup(node.head, head);
    const open = this.#open;
    if (open === undefined) return;
    open.inputs.push(input);
    open.labels.push(node.id);
    open.after.push(after);
    if (this.#ranks !== undefined) open.ranks.push(this.#ranks[index] ?? 0);
    this.#tasks += 1;
    this.#length += length;
  }

  #beginPart(): void {
    this.parts.push([]);
    this.#open = undefined;
    this.#tasks = 0;
    this.#length = 0;
  }

  #beginGroup(head: GroupHead, index: number): void {
    const [inputs, labels, ranks]: [string[], string[], number[]] = [[], [], []];
    const after: (readonly number[])[] = [];
    const withRanks = this.#ranks === undefined ? {} : { ranks };
    const group: TaskGroup = { ...head, work: { kind: "tasks", inputs, after, labels, ...withRanks } };
    this.#open = { head: index, group, inputs, labels, after, ranks };
    this.parts.at(-1)?.push(group);
    this.#length += head.handler.length + TASK_LENGTH;
  }
}
