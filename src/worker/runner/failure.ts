/** What user code threw, as a failure: plain, bounded, printable. */
import { inspect } from "node:util";
import { type Failure, type FailureClass, MAX_FAILURE_MESSAGE, MAX_FAILURE_STACK } from "../../core/failure.ts";
import type { HoldfastError } from "../../errors/index.ts";

const MAX_CODE_LENGTH = 100;

/** Codes of the operating system and of `fetch` that say that another machine could not be reached. */
const NETWORK_CODES: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "ECONNABORTED",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENETDOWN",
  "ENOTFOUND",
  "EAI_AGAIN",
  "ETIMEDOUT",
  "EPIPE",
  "UND_ERR_CONNECT_TIMEOUT",
  "UND_ERR_HEADERS_TIMEOUT",
  "UND_ERR_BODY_TIMEOUT",
  "UND_ERR_SOCKET",
]);

/** Anything may be thrown: an error, a text, nothing at all, an object whose getters throw. */
export function failureFromThrown(thrown: unknown): Failure {
  try {
    return describe(thrown);
  } catch {
    return { class: "user-error", message: "The task threw something that cannot be described." };
  }
}

/** The failure of one of our own errors. */
export function failureFromError(error: HoldfastError, failureClass: FailureClass): Failure {
  return { class: failureClass, code: error.code, message: error.message.slice(0, MAX_FAILURE_MESSAGE) };
}

function describe(thrown: unknown): Failure {
  if (!(thrown instanceof Error)) {
    const text = typeof thrown === "string" ? thrown : inspect(thrown, { depth: 2, breakLength: Infinity });
    return {
      class: "user-error",
      message: (text === "" ? "The task threw an empty text." : text).slice(0, MAX_FAILURE_MESSAGE),
    };
  }
  const code = codeOf(thrown);
  const { message: said, stack: trace }: { readonly message: unknown; readonly stack?: unknown } = thrown;
  const message = typeof said === "string" ? said.trim() : "";
  const stack = typeof trace === "string" ? trace.slice(0, MAX_FAILURE_STACK) : undefined;
  return {
    class: isNetworkError(thrown) ? "network" : "user-error",
    message: (message === "" ? thrown.name : message).slice(0, MAX_FAILURE_MESSAGE),
    code: (code ?? thrown.name).slice(0, MAX_CODE_LENGTH),
    ...(stack === undefined ? {} : { stack }),
  };
}

function codeOf(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null || !("code" in error)) return undefined;
  return typeof error.code === "string" && error.code !== "" ? error.code : undefined;
}

/** `fetch` says "fetch failed" and puts the reason into `cause`. */
function isNetworkError(error: Error): boolean {
  return NETWORK_CODES.has(codeOf(error) ?? "") || NETWORK_CODES.has(codeOf(error.cause) ?? "");
}
