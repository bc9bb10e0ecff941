/** What a look at a Redis finds. */

export interface Check {
  /** What was looked at, in a word or two. */
  readonly name: string;
  /** `warning`: it works, with a risk that somebody should know. `problem`: it does not, or will not. */
  readonly verdict: "ok" | "warning" | "problem";
  /** One sentence with the figures. */
  readonly found: string;
  /** What to do about it. */
  readonly advice?: string;
  /** What was mended, if something was; `found` says it, too. */
  readonly repaired?: string;
}

export function ok(name: string, found: string): Check {
  return { name, verdict: "ok", found };
}

export function warning(name: string, found: string, advice: string): Check {
  return { name, verdict: "warning", found, advice };
}

export function problem(name: string, found: string, advice: string): Check {
  return { name, verdict: "problem", found, advice };
}

const MB = 1_048_576;

export function megabytes(bytes: number): string {
  return `${(bytes / MB).toFixed(bytes < 10 * MB ? 1 : 0)} MB`;
}

/** A figure of INFO; NaN where the server does not tell it. */
export function figure(fields: ReadonlyMap<string, string>, name: string): number {
  return Number(fields.get(name) ?? Number.NaN);
}
