/**
 * References in the texts of a workflow file: `${{ outputs.schema.tables[0] }}`, `${{ input.version }}`,
 * and in the input of a map `${{ item.name }}`. A text that is nothing but one keeps the value's type;
 * within a longer text it becomes text. `$${{` stands for `${{` itself.
 */
import { pathTo } from "../../../core/untrusted.ts";
import { inputReference, itemReference, outputReference, type PathStep, type ValueRef } from "../reference.ts";
import { TextOf } from "../template.ts";

/** A step of a way: `.name`, `[0]`, `["any name"]`. */
const STEP = /\s*(?:\.\s*([A-Za-z0-9_-]+)|\[\s*(?:(\d+)|"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)')\s*\])/y;
const ROOT = /^\s*([A-Za-z_]\w*)/;
const MARK = /(\$?)\$\{\{((?:(?!\}\}).)*)(\}\})?/gs;

export type Report = (path: string, problem: string) => void;

/** A value in which texts with references have become references. */
export function withReferences(value: unknown, path: string, report: Report): unknown {
  if (typeof value === "string") return readText(value, path, report);
  if (Array.isArray(value)) return value.map((item, index) => withReferences(item, pathTo(path, index), report));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, entry]) => [key, withReferences(entry, pathTo(path, key), report)]),
  );
}

function readText(text: string, path: string, report: Report): unknown {
  if (!text.includes("${{")) return text;
  const parts: unknown[] = [];
  let end = 0;
  for (const found of text.matchAll(MARK)) {
    const [whole, escape = "", inner = "", close] = found;
    parts.push(text.slice(end, found.index));
    end = found.index + whole.length;
    if (escape !== "") parts.push(whole.slice(1));
    else if (close === undefined) report(path, "has a ${{ without its }}");
    else parts.push(readReference(inner, path, report));
  }
  parts.push(text.slice(end));
  const kept = parts.filter((part) => part !== "");
  const [only] = kept;
  const references = kept.filter((part) => typeof part !== "string");
  if (references.length === 0) return kept.join("");
  // Blanks around the only reference of a text say nothing.
  if (references.length === 1 && kept.every((part) => typeof part !== "string" || part.trim() === ""))
    return kept.length === 1 ? only : references[0];
  return new TextOf(kept);
}

function readReference(inner: string, path: string, report: Report): ValueRef | null {
  const root = ROOT.exec(inner);
  const name = root?.[1];
  const steps = stepsOf(inner, root?.[0].length ?? 0);
  if (name === undefined || steps === undefined) {
    report(path, `has \${{${inner}}}, which is no reference; expected such as \${{ outputs.build.files[0] }}`);
    return null;
  }
  if (name === "input") return inputReference(steps);
  if (name === "item") return itemReference(steps);
  const [node, ...rest] = steps;
  if (name === "outputs" && node !== undefined) return outputReference([String(node), ...rest]);
  report(
    path,
    name === "outputs"
      ? `has \${{${inner}}}, which names no node`
      : `has \${{${inner}}}; expected outputs, input, or in a map item`,
  );
  return null;
}

function stepsOf(text: string, from: number): readonly PathStep[] | undefined {
  const steps: PathStep[] = [];
  STEP.lastIndex = from;
  let end = from;
  for (let found = STEP.exec(text); found !== null; found = STEP.exec(text)) {
    const [, name, index, double, single] = found;
    if (index !== undefined) steps.push(Number(index));
    else steps.push(name ?? (double ?? single ?? "").replace(/\\(.)/g, "$1"));
    end = STEP.lastIndex;
  }
  return text.slice(end).trim() === "" ? steps : undefined;
}
