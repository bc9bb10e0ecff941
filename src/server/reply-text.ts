/**
 * JSON that is there as text already (results, metadata) goes into a reply as it is: parsed and printed
 * again, it would cost time and lose what JavaScript's numbers cannot hold.
 */
import { spliced } from "./json-text.ts";

/** A JSON text that stands for its value within a reply. */
export class JsonText {
  readonly text: string;

  private constructor(text: string) {
    this.text = text;
  }

  /** Of a text that somebody stored. What is no JSON becomes a JSON string: it cannot reach into the reply around it. */
  static of(text: string): JsonText {
    return new JsonText(spliced(text));
  }

  /** Of a part of a text that was found to be JSON. */
  static known(text: string): JsonText {
    return new JsonText(text);
  }
}

/** The JSON text of a reply, with every JsonText in it as it is. Fields that are undefined are left out. */
export function printJson(value: unknown): string {
  if (value instanceof JsonText) return value.text;
  if (Array.isArray(value)) return `[${value.map(printJson).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const fields: string[] = [];
  for (const [key, field] of Object.entries(value)) {
    if (field !== undefined) fields.push(`${JSON.stringify(key)}:${printJson(field)}`);
  }
  return `{${fields.join(",")}}`;
}

/** JSON texts of the elements of a JSON array's text, unchanged; undefined when it is the text of something else. */
export function splitJsonArray(text: string): string[] | undefined {
  const whole = text.trim();
  if (!whole.startsWith("[") || spliced(whole) !== whole) return undefined;
  const elements: string[] = [];
  let depth = 0;
  let start = 1;
  for (let at = 1; at < whole.length; at++) {
    const character = whole[at];
    if (character === '"') at = endOfString(whole, at);
    else if (character === "[" || character === "{") depth++;
    else if (depth > 0 && (character === "]" || character === "}")) depth--;
    else if (depth === 0 && (character === "," || character === "]")) {
      elements.push(whole.slice(start, at).trim());
      start = at + 1;
    }
  }
  return elements.length === 1 && elements[0] === "" ? [] : elements;
}

/** Where the string that begins at `from` ends. */
function endOfString(text: string, from: number): number {
  for (let at = from + 1; at < text.length; at++) {
    if (text[at] === "\\") at++;
    else if (text[at] === '"') return at;
  }
  return text.length;
}
