/** The key under which a submission that is sent again is the same one. */
import { MAX_IDENTIFIER } from "../broker/schema-parts.ts";
import type { Call } from "./handler.ts";
import { InvalidRequest } from "./invalid-request.ts";

const HEADER = "idempotency-key";

/** Of the header or the body. Errors: INVALID_REQUEST. */
export function submitKey(call: Call, operation: string, inBody?: string): string | undefined {
  const inHeader = call.header(HEADER);
  if (inHeader === undefined) return inBody;
  const path = `header ${HEADER}`;
  if (inHeader === "" || inHeader.length > MAX_IDENTIFIER)
    throw new InvalidRequest(operation, [{ path, problem: `has not 1 to ${MAX_IDENTIFIER} characters` }]);
  if (inBody !== undefined && inBody !== inHeader)
    throw new InvalidRequest(operation, [{ path, problem: "is not the key of the body" }]);
  return inHeader;
}
