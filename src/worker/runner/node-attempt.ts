/** One attempt of a workflow's node: what its texts say, with the outputs of the nodes that it uses. */
import { HoldfastError } from "../../errors/index.ts";
import type { Json, NodeInput } from "../../sdk/workflow/node.ts";
import type { NodeFacts } from "./attempt-context.ts";
import { failureFromError } from "./failure.ts";
import { failed, type FailedEnding, type Job } from "./job.ts";
import { readNodeInput } from "./node-texts.ts";
import type { LoadedNode } from "./task-loader.ts";
import { fill, isTemplateText } from "../../sdk/workflow/fill.ts";

export class NodeAttempt implements NodeFacts {
  readonly job: Job;
  readonly loaded: LoadedNode;
  readonly given: NodeInput;
  readonly #text: string;
  readonly #outputs = new Map<string, Json>();

  /** @throws HoldfastError INVALID_INPUT. */
  constructor(loaded: LoadedNode, job: Job) {
    this.job = job;
    this.loaded = loaded;
    this.#text = job.run.input ?? "null";
    this.given = readNodeInput(this.#text);
  }

  get id(): string {
    return this.given.node;
  }

  /** Of all nodes that it uses. */
  get outputs(): Readonly<Record<string, Json>> {
    return Object.fromEntries(Object.keys(this.given.outputs ?? {}).map((node) => [node, this.output(node)]));
  }

  /**
   * Its input, but for what code makes of it.
   *
   * @throws HoldfastError as `output`.
   */
  get input(): Json {
    const { input = null } = this.given;
    if (typeof input !== "object" || input === null || !isTemplateText(this.#text)) return input;
    return fill(input, { output: (node) => this.output(node) });
  }

  /**
   * Of a node that it uses; null where it has none.
   *
   * @throws HoldfastError NODE_FAILED.
   */
  output(node: string): Json {
    const known = this.#outputs.get(node);
    if (known !== undefined) return known;
    const output = JSON.parse(this.resultText(node) ?? "null") as Json;
    this.#outputs.set(node, output);
    return output;
  }

  /**
   * JSON text of the output of a node that it uses, if there is one.
   *
   * @throws HoldfastError NODE_FAILED.
   */
  resultText(node: string): string | undefined {
    const { outputs = {} } = this.given;
    const distance = Object.hasOwn(outputs, node) ? outputs[node] : undefined;
    if (distance === undefined)
      throw new HoldfastError("NODE_FAILED", { node: this.id, problem: `it has no node ${node} to use` });
    return this.parentText(this.job.run.task + distance);
  }

  /** JSON text of the result of a task that it waited for, if there is one. */
  parentText(task: number): string | undefined {
    return this.job.run.parents?.[task];
  }

  /** What is wrong with it, and will be at another try. */
  fault(problem: string): FailedEnding {
    return failed(failureFromError(new HoldfastError("NODE_FAILED", { node: this.id, problem }), "invalid-input"));
  }
}
