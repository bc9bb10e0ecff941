/**
 * Reads the payload texts of a workflow's nodes (sdk/workflow/node.ts). Over HTTP they are whatever
 * their submitter wrote, so every field that is used is looked at; by hand, because a schema would
 * cost more than most nodes take.
 */
import { shown } from "../../core/untrusted.ts";
import { HoldfastError } from "../../errors/index.ts";
import type { Condition, Json, NodeHandler, NodeInput, Step } from "../../sdk/workflow/node.ts";

type Fields = Readonly<Record<string, unknown>>;
type Check = (value: unknown) => boolean;

const KINDS: Readonly<Record<Step["kind"], Readonly<Record<string, Check>>>> = {
  function: { module: isText, task: isText },
  command: {
    command: (value) => isText(value) || (isListOf(value, isText) && value.length > 0),
    cwd: optional(isText),
    env: optional((value) => isFields(value) && Object.values(value).every(isText)),
    output: optional((value) => ["text", "json", "lines", "none"].includes(value as string)),
  },
  map: { each: isHead, failsWithItems: optional(isBoolean) },
  workflow: { groups: (value) => isListOf(value, isGroup), nodes: (value) => isListOf(value, isText), output: isJson },
  wait: {
    signal: optional(isText),
    approval: optional(isBoolean),
    timeoutMs: optional(isAmount),
    onTimeout: optional((value) => value === "fail" || value === "continue"),
  },
  sleep: { ms: optional(isAmount) },
  compensate: {
    nodes: (value) => isListOf(value, isCompensation),
    because: (value) => isListOf(value, isText),
  },
  replay: {},
};

/**
 * Of a handler of kind `node`.
 *
 * @throws HoldfastError INVALID_INPUT.
 */
export function checkNodeHandler(handler: object): NodeHandler {
  const { does, workflow } = handler as { readonly does?: unknown; readonly workflow?: unknown };
  if (!isFields(does)) throw wrong("handler.does", does, "what the node does");
  const fields = Object.hasOwn(KINDS, String(does["kind"])) ? KINDS[does["kind"] as Step["kind"]] : undefined;
  if (fields === undefined) throw wrong("handler.does.kind", does["kind"], Object.keys(KINDS).join(", "));
  for (const [field, check] of Object.entries(fields))
    if (!check(does[field])) throw wrong(`handler.does.${field}`, does[field], "what such a node needs there");
  const isPlace =
    workflow === undefined || (isFields(workflow) && isText(workflow["module"]) && isText(workflow["name"]));
  if (!isPlace) throw wrong("handler.workflow", workflow, "a module and a name");
  return handler as NodeHandler;
}

/** @throws HoldfastError INVALID_INPUT. */
export function readNodeInput(text: string): NodeInput {
  const value: unknown = JSON.parse(text);
  if (!isFields(value)) throw wrong("input", value, "what a node's input says");
  const { node, outputs, condition, onSkip, needs, rank, code } = value;
  if (!isText(node)) throw wrong("input.node", node, "the node's id");
  if (outputs !== undefined && !(isFields(outputs) && Object.values(outputs).every(isDistance)))
    throw wrong("input.outputs", outputs, "distances below 0 by node");
  if (condition !== undefined && !isCondition(condition))
    throw wrong("input.condition", condition, "code or an expression");
  if (onSkip !== undefined && onSkip !== "skip" && onSkip !== "release")
    throw wrong("input.onSkip", onSkip, "skip or release");
  if (needs !== undefined && !isListOf(needs, isText)) throw wrong("input.needs", needs, "a list of nodes");
  if (rank !== undefined && !isAmount(rank)) throw wrong("input.rank", rank, "a number from 0");
  if (code !== undefined && !isText(code)) throw wrong("input.code", code, "an id");
  return value as unknown as NodeInput;
}

function wrong(path: string, value: unknown, expected: string): HoldfastError {
  return new HoldfastError("INVALID_INPUT", { path, problem: `is ${shown(value)}; expected ${expected}` });
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

function isBoolean(value: unknown): boolean {
  return typeof value === "boolean";
}

function isJson(value: unknown): value is Json {
  return value !== undefined;
}

function isAmount(value: unknown): value is number {
  return typeof value === "number" && value >= 0;
}

function isDistance(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) < 0;
}

function isListOf(value: unknown, check: Check): value is readonly unknown[] {
  return Array.isArray(value) && value.every(check);
}

function isCondition(value: unknown): value is Condition {
  if (!isFields(value)) return false;
  return value["kind"] === "code" || (value["kind"] === "expression" && isText(value["expression"]));
}

/** The rest of it is for the broker to look at, as of any group. */
function isHead(value: unknown): boolean {
  return isFields(value) && isText(value["handler"]);
}

function isGroup(value: unknown): boolean {
  if (!isFields(value) || !isHead(value)) return false;
  const { work } = value;
  return isFields(work) && work["kind"] === "tasks" && isListOf(work["inputs"], isText);
}

function isCompensation(value: unknown): boolean {
  return (
    isFields(value) &&
    isText(value["node"]) &&
    isHead(value["group"]) &&
    isListOf(value["after"], isText) &&
    isJson(value["input"])
  );
}

function optional(check: Check): Check {
  return (value) => value === undefined || check(value);
}
