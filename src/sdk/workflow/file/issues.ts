/** What a schema finds wrong with a part of a file, in the words of who wrote it. */
import type * as z from "zod";
import { shown } from "../../../core/untrusted.ts";
import { nearestName } from "../../../util/nearest-name.ts";
import type { ValuePath } from "./places.ts";
import type { FileProblems } from "./problems.ts";

export interface IssuePlace {
  /** Where the part is in the file. */
  readonly path: ValuePath;
  /** Its fields. */
  readonly known: readonly string[];
}

export function addIssues(problems: FileProblems, issues: readonly z.core.$ZodIssue[], place: IssuePlace): void {
  for (const issue of issues) {
    const path = [...place.path, ...issue.path];
    if (issue.code === "unrecognized_keys") {
      for (const key of issue.keys) {
        // What belongs to a part of the part is told as it is.
        const hint = issue.path.length === 0 ? suggestion(key, place.known) : "";
        const expected = hint === "" && issue.path.length === 0 ? `; expected ${place.known.join(", ")}` : "";
        problems.add([...path, key], `is no field here${hint}${expected}`, { key: true });
      }
    } else problems.add(path, sentence(issue));
  }
}

/** `; did you mean "after"?`, or nothing. */
export function suggestion(written: string, known: readonly string[]): string {
  const meant = nearestName(written, known);
  return meant === undefined || meant === written ? "" : `; did you mean ${JSON.stringify(meant)}?`;
}

function sentence(issue: z.core.$ZodIssue): string {
  const is = `is ${shown(issue.input)}`;
  switch (issue.code) {
    case "invalid_type":
      return issue.input === undefined
        ? `is missing; expected ${a(issue.expected)}`
        : `${is}; expected ${a(issue.expected)}`;
    case "invalid_value": {
      const values = issue.values.map(String);
      const hint = typeof issue.input === "string" ? suggestion(issue.input, values) : "";
      return `${is}; expected ${values.join(", ")}${hint}`;
    }
    case "invalid_union": {
      const wanted = issue.errors
        .flat()
        .map(expectation)
        .filter((text) => text !== "");
      return `${is}; expected ${[...new Set(wanted)].join(", or ")}`;
    }
    case "too_small":
      return issue.origin === "string" || issue.origin === "array"
        ? "is empty"
        : `${is}; expected ${issue.minimum} or more`;
    case "too_big":
      return `${is}; expected at most ${issue.maximum}`;
    default:
      return issue.message;
  }
}

function expectation(issue: z.core.$ZodIssue): string {
  if (issue.code === "invalid_type") return a(issue.expected);
  if (issue.code === "invalid_value") return issue.values.map(String).join(", ");
  if (issue.code === "too_small") return `${issue.minimum} or more`;
  if (issue.code === "too_big") return `at most ${issue.maximum}`;
  if (issue.code === "unrecognized_keys") return `no field ${issue.keys.join(", ")}`;
  return issue.message;
}

/** Types by the words of this project. */
const WORDS: Readonly<Record<string, string>> = {
  string: "a text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "fields with values",
  record: "fields with values",
};

function a(type: string): string {
  return WORDS[type] ?? type;
}
