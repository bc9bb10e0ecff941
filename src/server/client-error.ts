/** Requests that are no HTTP, or whose head never came whole: answered on the bare socket. */
import type { Socket } from "node:net";
import { STATUS_CODES } from "node:http";
import { HoldfastError } from "../errors/index.ts";
import { CONNECTION_LIMITS } from "./access/limits.ts";
import { baseHeaders } from "./headers.ts";
import { InvalidRequest } from "./invalid-request.ts";
import { errorReply } from "./reply-error.ts";

interface BareRequest {
  readonly error: Error & { readonly code?: string };
  readonly socket: Socket;
  readonly requestId: string;
  readonly headersTimeoutMs: number;
}

export function answerClientError({ error, socket, requestId, headersTimeoutMs }: BareRequest): void {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  const refusal = refusalOf(error, headersTimeoutMs);
  const body = JSON.stringify(errorReply(refusal, requestId));
  const { httpStatus } = refusal.entry;
  const headers = {
    ...baseHeaders(requestId, false),
    "content-type": "application/json; charset=utf-8",
    "content-length": String(Buffer.byteLength(body)),
    connection: "close",
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  socket.end(`HTTP/1.1 ${httpStatus} ${STATUS_CODES[httpStatus]}\r\n${lines.join("\r\n")}\r\n\r\n${body}`, () =>
    socket.destroy(),
  );
}

function refusalOf(error: BareRequest["error"], headersTimeoutMs: number): HoldfastError {
  if (error.code === "ERR_HTTP_REQUEST_TIMEOUT")
    return new HoldfastError("BODY_TIMEOUT", { timeoutMs: headersTimeoutMs });
  if (error.code === "HPE_HEADER_OVERFLOW")
    return new HoldfastError("HEADERS_TOO_LARGE", { limit: CONNECTION_LIMITS.maxHeaderBytes });
  return new InvalidRequest("request", [{ path: "head", problem: "is no HTTP" }]);
}
