/** All that is wrong with a workflow file, each with its line. */
import { HoldfastError } from "../../../errors/index.ts";
import { pathText, type Problem } from "../spec.ts";
import type { Place, Places, ValuePath } from "./places.ts";

const MAX_TOLD = 20;

interface Told {
  readonly place: Place;
  readonly text: string;
}

export class FileProblems {
  readonly #file: string;
  readonly #told: Told[] = [];
  #places: Places | undefined;

  constructor(file: string) {
    this.#file = file;
  }

  get count(): number {
    return this.#told.length;
  }

  /** From here on paths are of these places. */
  set places(places: Places) {
    this.#places = places;
  }

  at(place: Place, problem: string): void {
    this.#told.push({ place, text: problem });
  }

  /** `key`: it is the name that is wrong. */
  add(path: ValuePath, problem: string, options: { readonly key?: boolean } = {}): void {
    const place = this.#places?.of(path, options) ?? { line: 1, column: 1 };
    this.#told.push({ place, text: `${pathText(path)}${path.length === 0 ? "" : " "}${problem}` });
  }

  /** Problems of the definition that was made of the file. */
  addAll(problems: readonly Problem[], ids: readonly string[]): void {
    for (const { path, problem } of problems) {
      const place = this.#places?.of(pathIn(path, ids)) ?? { line: 1, column: 1 };
      this.#told.push({ place, text: `${path.replace(/\.condition\b/, ".when")} ${problem}` });
    }
  }

  toError(): HoldfastError {
    const sorted = this.#told.toSorted((a, b) => a.place.line - b.place.line || a.place.column - b.place.column);
    const lines = sorted
      .slice(0, MAX_TOLD)
      .map(({ place, text }) => `${this.#file}:${place.line}:${place.column}: ${text}`);
    const rest = sorted.length - lines.length;
    if (rest > 0) lines.push(`and ${rest} more`);
    const problems = sorted.length === 1 ? lines.join("") : `${sorted.length} problems:\n${lines.join("\n")}`;
    return new HoldfastError("INVALID_WORKFLOW", { workflow: this.#file, problems });
  }
}

/** `nodes.api.input.schema[0]` → the steps to it; ids may have dots in them. */
function pathIn(path: string, ids: readonly string[]): ValuePath {
  const id = path.startsWith("nodes.") ? longest(path.slice("nodes.".length), ids) : undefined;
  const [head, rest]: [PropertyKey[], string] =
    id === undefined ? [[], path] : [["nodes", id], path.slice("nodes.".length + id.length)];
  for (const [, name, index, quoted] of rest.matchAll(/\.?([A-Za-z_$][\w$]*)|\[(\d+)\]|\["((?:[^"\\]|\\.)*)"\]/g))
    head.push(index === undefined ? (name === "condition" ? "when" : (name ?? quoted ?? "")) : Number(index));
  return head;
}

function longest(text: string, ids: readonly string[]): string | undefined {
  let found: string | undefined;
  for (const id of ids) {
    const fits = text === id || text.startsWith(`${id}.`) || text.startsWith(`${id}[`);
    if (fits && id.length > (found?.length ?? -1)) found = id;
  }
  return found;
}
