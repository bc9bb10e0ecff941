/** From a value with references in it to the template that travels, with the nodes that it uses. */
import { isPlainObject, jsonFault, pathTo } from "../../core/untrusted.ts";
import { fill, isConstant, TEMPLATE_MARKS } from "./fill.ts";
import type { InputRef, Json, OutputRef, Template } from "./node.ts";
import { isNodeHandle, isReference, type ItemRef, NODE_BRAND, REFERENCE_BRAND } from "./reference.ts";

export { isConstant } from "./fill.ts";

/** Values within values; deeper ones are refused. */
const MAX_DEPTH = 64;
export interface TemplateScan {
  /** Ids of the nodes whose outputs stand in it. */
  readonly uses: Set<string>;
  /** Told for everything that cannot be in a template. */
  readonly problem: (path: string, problem: string) => void;
  /** Of the workflow's own nodes; a node of another one is refused. */
  readonly owner: object;
  /** It is the input of a map's runs: the item may stand in it. */
  readonly isItem?: boolean;
}

/** `path` names the value in problems. */
export function toTemplate(value: unknown, path: string, scan: TemplateScan): Template {
  return convert(value, path, { ...scan, depth: 0 });
}

interface Walk extends TemplateScan {
  readonly depth: number;
}

function convert(value: unknown, path: string, walk: Walk): Template {
  if (isNodeHandle(value)) {
    if (value[NODE_BRAND] !== walk.owner) return refused(walk, path, `uses node ${value.id} of another workflow`);
    return convertReference({ $output: [value.id] }, path, walk);
  }
  if (isReference(value)) return convertReference(value[REFERENCE_BRAND], path, walk);
  if (value instanceof TextOf) return { $text: value.parts.map((part) => convert(part, path, walk)) };
  if (walk.depth >= MAX_DEPTH) return refused(walk, path, `is nested deeper than ${MAX_DEPTH} levels`);
  const inner = { ...walk, depth: walk.depth + 1 };
  if (Array.isArray(value)) return value.map((item, index) => convert(item, pathTo(path, index), inner));
  if (!isPlainObject(value)) return convertLeaf(value, path, walk);
  const entries = Object.entries(value).filter(([, entry]) => entry !== undefined);
  const made = Object.fromEntries(entries.map(([key, entry]) => [key, convert(entry, pathTo(path, key), inner)]));
  const [only] = entries;
  if (entries.length !== 1 || only === undefined || !TEMPLATE_MARKS.includes(only[0])) return made;
  // A user's own object that would be taken for a reference.
  if (Object.values(made).every(isConstant)) return { $literal: value as Json };
  return refused(walk, path, `has the one field ${only[0]}, and a reference in it; give it another name`);
}

/** A text with references in it, as files can have them. */
export class TextOf {
  readonly parts: readonly unknown[];

  constructor(parts: readonly unknown[]) {
    this.parts = parts;
  }
}

function convertReference(ref: OutputRef | InputRef | ItemRef, path: string, walk: Walk): Template {
  if ("$item" in ref)
    return walk.isItem === true ? { $input: [...ref.$item] } : refused(walk, path, "uses the item outside of its map");
  if ("$input" in ref) {
    if (walk.isItem !== true) return { $input: [...ref.$input] };
    return refused(
      walk,
      path,
      "uses the workflow's input; in a map's input only the item and outputs of nodes can stand",
    );
  }
  walk.uses.add(ref.$output[0]);
  return { $output: [...ref.$output] };
}

function convertLeaf(value: unknown, path: string, walk: Walk): Template {
  const fault = jsonFault(value, path);
  return fault === undefined ? (value as Json) : refused(walk, fault.path, fault.problem);
}

function refused(walk: Walk, path: string, problem: string): null {
  walk.problem(path, problem);
  return null;
}

/** Fills in what stands for the workflow's input, where that is known: `$input` of `input`. */
export function fillInput(template: Template, input: unknown): Template {
  return fill(template, { input: () => (input ?? null) as Json });
}

/** Fills in the outputs of nodes by id. Nothing else may be left in it. */
export function fillOutputs(template: Template, outputs: Readonly<Record<string, unknown>>): Json {
  return fill(template, { output: (node) => ((Object.hasOwn(outputs, node) ? outputs[node] : null) ?? null) as Json });
}

/** What a constant template stands for. */
export function constantValue(template: Template): Json {
  return fillOutputs(template, {});
}
