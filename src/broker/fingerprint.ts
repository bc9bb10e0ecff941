/** Tells a submission that is sent again from another one under the same key. */
import { createHash } from "node:crypto";
import type { Submission } from "./contract.ts";

/** Empty where there is no key to compare under. */
export function fingerprint(submission: Submission): string {
  return submission.key === undefined ? "" : createHash("sha256").update(JSON.stringify(submission)).digest("hex");
}
