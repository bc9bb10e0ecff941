/** How a refusal is told: one JSON shape for all, and nothing about the inside of the server. */
import type { HoldfastError } from "../errors/index.ts";
import { InvalidRequest } from "./invalid-request.ts";

/** Body of every answer that is no success. */
export interface ErrorReply {
  readonly success: false;
  /** One sentence. */
  readonly error: string;
  readonly code: string;
  /** What of the request is wrong. */
  readonly field?: string;
  /** All that is wrong, where there is more than one thing. */
  readonly problems?: readonly { readonly field: string; readonly problem: string }[];
  readonly details?: Readonly<Record<string, unknown>>;
  readonly requestId: string;
}

const RETRY_SOON_S = 1;

export function errorReply(error: HoldfastError, requestId: string): ErrorReply {
  const { code, details } = error;
  if (code === "INTERNAL") {
    return { success: false, error: "Something went wrong in the server; its log says what.", code, requestId };
  }
  const field = fieldOf(error);
  const problems = error instanceof InvalidRequest && error.problems.length > 1 ? error.problems : undefined;
  return {
    success: false,
    error: error.message,
    code,
    ...(field === undefined ? {} : { field }),
    ...(problems === undefined ? {} : { problems: problems.map(({ path, problem }) => ({ field: path, problem })) }),
    ...(Object.keys(details).length === 0 ? {} : { details }),
    requestId,
  };
}

/** Statuses of what is wrong with a request by itself, whatever the state of things. */
const ABOUT_A_FIELD: readonly number[] = [400, 403, 413, 422];

function fieldOf({ entry, details }: HoldfastError): string | undefined {
  if (!ABOUT_A_FIELD.includes(entry.httpStatus)) return undefined;
  const named = details["path"] ?? details["what"];
  return typeof named === "string" ? named : undefined;
}

/** Headers that an answer of this error carries beside those of every answer. */
export function errorHeaders({ entry, details }: HoldfastError): Record<string, string> {
  const headers: Record<string, string> = {};
  const { httpStatus } = entry;
  if (httpStatus === 401) headers["www-authenticate"] = 'Bearer realm="holdfast"';
  if (httpStatus === 429 || httpStatus === 503) {
    const retryAfterMs = details["retryAfterMs"];
    headers["retry-after"] = String(typeof retryAfterMs === "number" ? Math.ceil(retryAfterMs / 1_000) : RETRY_SOON_S);
  }
  if (httpStatus === 405) headers["allow"] = String(details["allowed"] ?? "");
  // The rest of a body that was refused is not read: the connection cannot serve another request.
  if (httpStatus === 408 || httpStatus === 413 || httpStatus === 415) headers["connection"] = "close";
  return headers;
}
