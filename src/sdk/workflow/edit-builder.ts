/** What a program says about an edit of a workflow that runs: new nodes, and changes of those that are there, by id. */
import { shown } from "../../core/untrusted.ts";
import { nearestName } from "../../util/nearest-name.ts";
import { HoldfastError } from "../../errors/index.ts";
import { type Priority, toPriority } from "../task.ts";
import { Builder, type WorkflowBuilder } from "./builder.ts";
import { workflowError } from "./problems.ts";
import { isNodeHandle, nodeHandle, type NodeHandle, type NodeRef } from "./reference.ts";
import type { GraphView, LiveNode } from "./remaining.ts";
import { SpecBuilder } from "./spec-builder.ts";
import type { NodeSpec } from "./spec.ts";

/** The `e` of `graph.edit((e) => …)`. New nodes are made as in `defineWorkflow`; they have no conditions that are functions. */
export interface WorkflowEditor extends Omit<WorkflowBuilder<never>, "input"> {
  /** A node that is there, as something to come after, or to use the output of. */
  node<Output = unknown>(id: string): NodeHandle<Output>;
  /** It is not wanted any more: it is skipped, with what comes after it. */
  remove(...ids: string[]): void;
  /** These are all that it waits for from now on. Outputs of nodes that have completed stay with it. */
  rewire(id: string, after: readonly NodeRef[]): void;
  /** Before all nodes with a lower one that are ready. */
  prioritise(id: string, priority: Priority): void;
  /** It is not started until it is let go. */
  hold(...ids: string[]): void;
  unhold(...ids: string[]): void;
}

export interface EditRequests {
  readonly added: readonly NodeSpec[];
  readonly removed: readonly string[];
  /** Ids by id. */
  readonly rewired: ReadonlyMap<string, readonly string[]>;
  /** 1…10 by id. */
  readonly priorities: ReadonlyMap<string, number>;
  readonly held: readonly string[];
  readonly unheld: readonly string[];
}

export class EditBuilder extends Builder {
  readonly #graph: GraphView;
  readonly #spec: SpecBuilder;
  readonly #removed: string[] = [];
  readonly #rewired = new Map<string, readonly string[]>();
  readonly #priorities = new Map<string, number>();
  readonly #held: string[] = [];
  readonly #unheld: string[] = [];

  constructor(graph: GraphView) {
    const spec = new SpecBuilder({ name: "edit" });
    super(spec, undefined);
    this.#spec = spec;
    this.#graph = graph;
  }

  node(id: string): NodeHandle {
    this.#known(id, "node");
    return nodeHandle(this.#spec.owner, id);
  }

  remove(...ids: readonly string[]): void {
    for (const id of ids) if (this.#known(id, "remove")) this.#removed.push(id);
  }

  rewire(id: string, after: readonly NodeRef[]): void {
    if (!this.#known(id, "rewire")) return;
    const parents: string[] = [];
    for (const [index, parent] of after.entries()) {
      if (isNodeHandle(parent)) parents.push(parent.id);
      else this.#spec.problem(`rewire.${id}[${index}]`, `is ${shown(parent)}; expected a node`);
    }
    // They hold it up no more, and it may use their outputs.
    const had = this.#nodeOf(id)?.after ?? [];
    const completed = had.filter((parent) => this.#nodeOf(parent)?.state === "completed");
    this.#rewired.set(id, [...new Set([...parents, ...completed])]);
  }

  prioritise(id: string, priority: Priority): void {
    if (this.#known(id, "prioritise")) this.#priorities.set(id, toPriority(priority, `priority of node ${id}`));
  }

  hold(...ids: readonly string[]): void {
    for (const id of ids) if (this.#known(id, "hold")) this.#held.push(id);
  }

  unhold(...ids: readonly string[]): void {
    for (const id of ids) if (this.#known(id, "unhold")) this.#unheld.push(id);
  }

  /** @throws HoldfastError INVALID_WORKFLOW with all that is wrong; INVALID_OPTION when nothing is asked for. */
  requests(): EditRequests {
    const { nodes: added, problems } = this.#spec.spec;
    const ids = new Set<string>();
    for (const { id, after } of added) {
      if (this.#graph.has(id) || ids.has(id)) this.#spec.problem(`nodes.${id}`, "has the id of another node");
      for (const parent of after) {
        // In the order in which they are made; a node cannot come after one that is made later.
        if (!ids.has(parent) && !this.#graph.has(parent))
          this.#spec.problem(`nodes.${id}`, `comes after ${parent}, which is not there`);
      }
      ids.add(id);
    }
    if (problems.length > 0) throw workflowError("edit", problems);
    const requests: EditRequests = {
      added,
      removed: this.#removed,
      rewired: this.#rewired,
      priorities: this.#priorities,
      held: this.#held,
      unheld: this.#unheld,
    };
    const asked = added.length + this.#removed.length + this.#rewired.size + this.#priorities.size;
    if (asked + this.#held.length + this.#unheld.length > 0) return requests;
    throw new HoldfastError("INVALID_OPTION", { option: "edit", value: "empty", expected: "something to change" });
  }

  #nodeOf(id: string): LiveNode | undefined {
    return this.#graph.nodes[this.#graph.indexOf(id) ?? -1];
  }

  #known(id: string, what: string): boolean {
    if (this.#graph.has(id)) return true;
    const meant = nearestName(
      id,
      this.#graph.nodes.map((node) => node.id),
    );
    const hint = meant === undefined ? "" : `; did you mean ${JSON.stringify(meant)}?`;
    this.#spec.problem(what, `names ${JSON.stringify(id)}, and there is no such node${hint}`);
    return false;
  }
}
