import { MAX_PAYLOAD } from "../../../broker/limits.ts";
import { HoldfastError } from "../../../errors/index.ts";
import { failureFromError } from "../failure.ts";
import { type Ending, failed } from "../job.ts";

/** The ending with a result that is JSON text already. */
export function completedText(text: string): Ending {
  if (text.length <= MAX_PAYLOAD) return { type: "completed", result: text };
  const details = { what: "The node's output", bytes: text.length, limit: MAX_PAYLOAD };
  return failed(failureFromError(new HoldfastError("PAYLOAD_TOO_LARGE", details), "invalid-input"));
}
