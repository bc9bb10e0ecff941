/** The k best items with their points. Ties go to the lower index, so the answer is one and the same in any order. */
import { z } from "zod";
import { compileField } from "./field.ts";
import type { Fold, TopEntry, TopSpec } from "./spec.ts";

interface Top {
  count: number;
  ignored: number;
  /** Best first. */
  readonly entries: TopEntry[];
}

const whole = z.int().min(0);
const topJson = z.strictObject({
  count: whole,
  ignored: whole,
  entries: z.array(z.strictObject({ index: whole, point: z.unknown(), value: z.unknown(), score: z.number() })),
});

export function topFold(spec: TopSpec): Fold<Top> {
  const read = compileField(spec.field);
  const sign = spec.order === "max" ? -1 : 1;
  /** Negative when `left` is better. */
  const compare = (left: TopEntry, right: TopEntry): number =>
    left.score === right.score ? left.index - right.index : sign * (left.score < right.score ? -1 : 1);

  function place(entries: TopEntry[], entry: TopEntry): void {
    const worst = entries.at(-1);
    if (entries.length >= spec.k && worst !== undefined && compare(worst, entry) <= 0) return;
    let from = 0;
    let to = entries.length;
    while (from < to) {
      const middle = (from + to) >>> 1;
      const there = entries[middle];
      if (there !== undefined && compare(there, entry) < 0) from = middle + 1;
      else to = middle;
    }
    entries.splice(from, 0, entry);
    if (entries.length > spec.k) entries.pop();
  }

  return {
    empty: () => ({ count: 0, ignored: 0, entries: [] }),
    add(top, { index, point, value }) {
      const score = read(value);
      if (score === undefined) {
        top.ignored += 1;
        return;
      }
      top.count += 1;
      place(top.entries, { index, point, value, score });
    },
    merge(into, other) {
      into.count += other.count;
      into.ignored += other.ignored;
      for (const entry of other.entries) place(into.entries, entry);
    },
    finish: ({ count, ignored, entries }) => ({ count, ignored, entries: [...entries] }),
    toJson: (top) => top,
    fromJson: (json) => topJson.parse(json),
  };
}
