/** Where in a YAML or JSON text a value stands: line and column of a path. */
import { type Document, isMap, isNode, isPair, isScalar, isSeq, LineCounter, parseDocument } from "yaml";

export type ValuePath = readonly PropertyKey[];

export interface Place {
  readonly line: number;
  readonly column: number;
}

/** Aliases that may be resolved; more would let a few lines stand for gigabytes. */
const MAX_ALIASES = 1_000;
/** Values within values. */
const MAX_DEPTH = 64;
const TOO_DEEP = `is nested deeper than ${MAX_DEPTH} levels`;
/** How the parser tells of what is nested so deeply that it gave up. */
const STACK_FULL = "Maximum call stack size exceeded";

export type Parsed =
  | { readonly value: unknown; readonly places: Places; readonly problems?: undefined }
  | { readonly problems: readonly (Place & { readonly problem: string })[]; readonly value?: undefined };

/** JSON is read as YAML, which it is. */
export function parseText(text: string): Parsed {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, stringKeys: true });
  const tooDeep = document.errors.find(({ message }) => message.includes(STACK_FULL));
  if (tooDeep !== undefined) return { problems: [{ ...placeOf(lines, tooDeep.pos[0]), problem: TOO_DEEP }] };
  if (document.errors.length > 0) {
    return {
      problems: document.errors.map(({ pos, message }) => {
        return { ...placeOf(lines, pos[0]), problem: message.split("\n", 1)[0] ?? message };
      }),
    };
  }
  try {
    const value: unknown = document.toJS({ maxAliasCount: MAX_ALIASES });
    const places = new Places(document, lines);
    const deep = deepPath(value);
    return deep === undefined ? { value, places } : { problems: [{ ...places.of(deep), problem: TOO_DEEP }] };
  } catch (thrown) {
    const problem = thrown instanceof Error ? thrown.message : String(thrown);
    return { problems: [{ line: 1, column: 1, problem }] };
  }
}

/** Way to a value that is nested too deeply, if there is one. */
function deepPath(value: unknown, path: ValuePath = []): ValuePath | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  if (path.length >= MAX_DEPTH) return path;
  for (const [key, inner] of Object.entries(value)) {
    const found = deepPath(inner, [...path, key]);
    if (found !== undefined) return found;
  }
  return undefined;
}

export class Places {
  readonly #document: Document;
  readonly #lines: LineCounter;

  constructor(document: Document, lines: LineCounter) {
    this.#document = document;
    this.#lines = lines;
  }

  /** Of the value at the path, or the nearest that is there; `key`: of its name. */
  of(path: ValuePath, { key = false }: { readonly key?: boolean } = {}): Place {
    let node: unknown = this.#document.contents;
    let found = offsetOf(node) ?? 0;
    for (const [depth, step] of path.entries()) {
      const wantsKey = key && depth === path.length - 1;
      let next: unknown;
      if (isMap(node)) {
        const pair = node.items.find(
          (item) => isPair(item) && isScalar(item.key) && String(item.key.value) === String(step),
        );
        if (pair === undefined) break;
        found = offsetOf(pair.key) ?? found;
        next = pair.value;
      } else if (isSeq(node)) next = node.items[Number(step)];
      const offset = offsetOf(next);
      if (offset !== undefined && !wantsKey) found = offset;
      node = next;
    }
    return placeOf(this.#lines, found);
  }
}

function placeOf(lines: LineCounter, offset: number): Place {
  const { line, col } = lines.linePos(offset);
  return { line, column: col };
}

function offsetOf(node: unknown): number | undefined {
  return isNode(node) ? node.range?.[0] : undefined;
}
