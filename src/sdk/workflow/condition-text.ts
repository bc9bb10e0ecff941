/** Which nodes a condition in CEL names, found without its parser, which is slow to load. Its syntax is checked later. */

/** A text, or `outputs.NAME` or `outputs["NAME"]` that begins a way. */
const NAMED =
  /(?<![\w.])outputs\s*(?:\.\s*([A-Za-z_]\w*)|\[\s*(?:"([^"\\]*)"|'([^'\\]*)')\s*\])|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/g;

export function outputsNamed(condition: string): readonly string[] {
  const found = new Set<string>();
  for (const [, dotted, double, single] of condition.matchAll(NAMED)) {
    const id = dotted ?? double ?? single;
    if (id !== undefined) found.add(id);
  }
  return [...found];
}
