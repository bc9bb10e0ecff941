/**
 * Where a text stops being JSON. The engine's own parser says so for some faults only; this one is
 * slow and is asked when that one has failed.
 */

const SPACE = /[ \t\n\r]*/y;
/** What is no string: a mark, a number or a word. */
const TOKEN = /[{}[\],:]|(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)(?![\w.])/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[\da-fA-F]{4})/y;

/** What may come next. */
type Expected = "value" | "value or ]" | "key" | "key or }" | ":" | ", or end" | "nothing";

/** Index of the first character that cannot be there; the text's length where it ends too early. */
export function faultPosition(text: string): number {
  const open: ("{" | "[")[] = [];
  let expected: Expected = "value";
  let at = 0;
  for (;;) {
    at = matchAt(SPACE, text, at)?.end ?? at;
    const string = text[at] === '"' ? stringAt(text, at) : undefined;
    if (string?.fault !== undefined) return isStringExpected(expected) ? string.fault : at;
    const token = string ?? matchAt(TOKEN, text, at);
    if (token === undefined) return at;
    const isMark = string === undefined && "{}[],:".includes(text[at] ?? "");
    const next: Expected | undefined = isMark
      ? afterMark(text[at] ?? "", expected, open)
      : afterScalar(expected, string !== undefined);
    if (next === undefined) return at;
    expected = next === ", or end" && open.length === 0 ? "nothing" : next;
    at = token.end;
  }
}

function matchAt(pattern: RegExp, text: string, at: number): { readonly end: number } | undefined {
  pattern.lastIndex = at;
  return pattern.test(text) ? { end: pattern.lastIndex } : undefined;
}

/** Where the string that begins at `from` ends, or stops being one. */
function stringAt(text: string, from: number): { readonly end: number; readonly fault?: number } {
  let at = from + 1;
  while (at < text.length && text[at] !== '"') {
    const escape = text[at] === "\\" ? matchAt(ESCAPE, text, at) : undefined;
    if (text.charCodeAt(at) < 32 || (text[at] === "\\" && escape === undefined)) return { end: at, fault: at };
    at = escape?.end ?? at + 1;
  }
  return at < text.length ? { end: at + 1 } : { end: at, fault: at };
}

function isStringExpected(expected: Expected): boolean {
  return expected !== ":" && expected !== ", or end" && expected !== "nothing";
}

function afterScalar(expected: Expected, isString: boolean): Expected | undefined {
  if (expected === "value" || expected === "value or ]") return ", or end";
  return isString && (expected === "key" || expected === "key or }") ? ":" : undefined;
}

function afterMark(mark: string, expected: Expected, open: ("{" | "[")[]): Expected | undefined {
  const inside = open.at(-1);
  switch (mark) {
    case "{":
    case "[":
      if (expected !== "value" && expected !== "value or ]") return undefined;
      open.push(mark);
      return mark === "{" ? "key or }" : "value or ]";
    case "}":
      if (inside !== "{" || (expected !== "key or }" && expected !== ", or end")) return undefined;
      open.pop();
      return ", or end";
    case "]":
      if (inside !== "[" || (expected !== "value or ]" && expected !== ", or end")) return undefined;
      open.pop();
      return ", or end";
    case ":":
      return expected === ":" ? "value" : undefined;
    default:
      if (expected !== ", or end" || inside === undefined) return undefined;
      return inside === "{" ? "key" : "value";
  }
}
