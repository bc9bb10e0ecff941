/** Tells a submission that is sent again from another one under the same key. */
import { createHash } from "node:crypto";
import type { Submission } from "./contract.ts";

/** Empty where there is no key to compare under. The same however its fields are ordered: on its way it may be written anew. */
export function fingerprint(submission: Submission): string {
  return submission.key === undefined ? "" : createHash("sha256").update(canonical(submission)).digest("hex");
}

/** JSON with the fields of every object in order. */
function canonical(value: unknown): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) {
    // Inputs are texts, and there may be many of them.
    const isPlain = value.length === 0 || typeof value[0] !== "object";
    return isPlain ? JSON.stringify(value) : `[${value.map(canonical).join(",")}]`;
  }
  const fields = Object.entries(value)
    .filter(([, field]) => field !== undefined)
    .toSorted(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, field]) => `${JSON.stringify(name)}:${canonical(field)}`);
  return `{${fields.join(",")}}`;
}
