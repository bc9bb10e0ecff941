/**
 * What happens to one request: who is it, may they, what do they say, do it, answer, write it down.
 *
 * The body is not read before its sender was let in. A crash of the server on the way leaves a call
 * done or not done and unanswered; every operation may be sent again.
 */
import { Readable } from "node:stream";
import type { Operation } from "../api/operation.ts";
import { HoldfastError } from "../errors/index.ts";
import type { Access } from "./access.ts";
import type { RequestCall } from "./call.ts";
import { type Handler, RawReply, type ServerParts, StatusReply } from "./handler.ts";
import { lingering } from "./linger.ts";
import { permit } from "./principal.ts";
import { printJson } from "./reply-text.ts";
import { errorHeaders, errorReply } from "./reply-error.ts";
import { readBody } from "./request-body.ts";
import { parseInput } from "./request-input.ts";
import type { ServerLimits } from "./server-options.ts";

/** Executions named in one line of the audit log. */
const MADE_TOLD = 100;
const JSON_TYPE = "application/json; charset=utf-8";

export interface PipelineParts {
  readonly parts: ServerParts;
  readonly access: Access;
  readonly limits: ServerLimits;
}

export interface Route {
  readonly id: string;
  readonly operation: Operation;
  readonly handler: Handler<Operation>;
}

export class Pipeline {
  readonly #parts: ServerParts;
  readonly #access: Access;
  readonly #limits: ServerLimits;

  constructor({ parts, access, limits }: PipelineParts) {
    this.#parts = parts;
    this.#access = access;
    this.#limits = limits;
  }

  async answer(route: Route, call: RequestCall): Promise<void> {
    const { operation, id } = route;
    try {
      call.principal = await this.#access.identify(call.facts, operation);
      permit(call.principal, operation);
      const input = parseInput(id, operation, {
        params: call.request.params as Record<string, string>,
        query: queryOf(call.facts.url),
        body: await this.#bodyOf(route, call),
      });
      const result = await route.handler(input, call);
      const status = this.#send(call, operation, result);
      if (operation.changes) this.#record(route, call, { status, ...madeBy(result) });
    } catch (thrown) {
      this.refuse(call, thrown, route);
    }
  }

  /** Answers with an error. Without a route nothing was asked for that there is. */
  refuse(call: RequestCall, thrown: unknown, route?: Route): void {
    const error = HoldfastError.from(thrown);
    const { httpStatus } = error.entry;
    this.#log(call, error, route?.id);
    const isAudited = route !== undefined && (route.operation.changes || [401, 403, 429].includes(httpStatus));
    if (isAudited) this.#record(route, call, { status: httpStatus, error: error.code });
    const { reply } = call;
    // Whoever has gone hears nothing; an answer that has begun cannot become another one.
    if (reply.sent || reply.raw.destroyed || reply.raw.headersSent) return;
    const headers = errorHeaders(error);
    const text = printJson(errorReply(error, call.requestId));
    const { raw } = call.request;
    const isCutOff = headers["connection"] === "close" && !raw.complete;
    this.#finish(call, {
      status: httpStatus,
      headers: isCutOff ? { ...headers, "content-length": String(Buffer.byteLength(text)) } : headers,
      type: JSON_TYPE,
      body: isCutOff ? lingering(text, raw, this.#parts.clock) : text,
    });
  }

  async #bodyOf({ id, operation }: Route, call: RequestCall): Promise<unknown> {
    if (operation.method === "GET") return undefined;
    return readBody({
      request: call.request.raw,
      operation: id,
      clock: this.#parts.clock,
      limits: {
        bytes: Math.min(operation.bodyLimit ?? this.#limits.bodyBytes, this.#limits.maxBodyBytes),
        timeoutMs: this.#limits.bodyTimeoutMs,
      },
    });
  }

  #send(call: RequestCall, operation: Operation, result: unknown): number {
    const { status, value } =
      result instanceof StatusReply
        ? { status: result.status, value: result.body as unknown }
        : { status: operation.status ?? 200, value: result };
    if (value instanceof RawReply) {
      this.#finish(call, { status, headers: value.headers, type: value.contentType, body: value.body });
    } else {
      this.#finish(call, { status, headers: {}, type: JSON_TYPE, body: printJson(value) });
    }
    return status;
  }

  #finish(call: RequestCall, answer: Answer): void {
    const { reply, facts } = call;
    const isClosing = this.#parts.closing.aborted && answer.headers["connection"] === undefined;
    reply
      .code(answer.status)
      .headers(isClosing ? { ...answer.headers, connection: "close" } : answer.headers)
      .header("content-type", answer.type);
    if (!(answer.body instanceof Readable)) {
      void reply.send(answer.body);
    } else if (facts.method === "HEAD") {
      answer.body.destroy();
      void reply.send("");
    } else {
      const { body } = answer;
      body.once("error", (error) =>
        this.#parts.logger.warn({ error, requestId: call.requestId }, "a stream broke off"),
      );
      void reply.send(body);
      // Whoever listens to a stream is told that it is one before there is anything to say.
      if (!reply.raw.headersSent) reply.raw.flushHeaders();
    }
  }

  #record({ id }: Route, call: RequestCall, outcome: Outcome): void {
    const { admitted, requestId, facts } = call;
    this.#access.record({
      requestId,
      ...(admitted === undefined ? {} : { principal: admitted }),
      remoteAddress: facts.remoteAddress,
      operation: id,
      params: { ...(call.request.params as Record<string, unknown>), ...outcome.made },
      status: outcome.status,
      ...(outcome.error === undefined ? {} : { error: outcome.error }),
    });
  }

  #log(call: RequestCall, error: HoldfastError, operation: string | undefined): void {
    const { requestId, facts } = call;
    const fields = {
      requestId,
      operation: operation ?? "none",
      method: facts.method,
      path: facts.url.split("?", 1)[0],
      remoteAddress: facts.remoteAddress,
      code: error.code,
    };
    if (error.code === "INTERNAL")
      this.#parts.logger.error({ ...fields, error: error.cause ?? error }, "a call failed");
    else if (error.entry.httpStatus >= 500)
      this.#parts.logger.warn({ ...fields, problem: error.message }, "a call failed");
    else this.#parts.logger.info({ ...fields, problem: error.message }, "a call was refused");
  }
}

interface Outcome {
  readonly status: number;
  readonly error?: string;
  /** Names of what the call has made. */
  readonly made?: Readonly<Record<string, string>>;
}

/** What a submission has made stands in its answer only. */
function madeBy(result: unknown): Pick<Outcome, "made"> {
  const value = result instanceof StatusReply ? (result.body as unknown) : result;
  const { executionId, executions } = (value ?? {}) as {
    readonly executionId?: unknown;
    readonly executions?: readonly { readonly executionId: string }[];
  };
  if (typeof executionId === "string") return { made: { executionId } };
  if (!Array.isArray(executions)) return {};
  const ids = executions.slice(0, MADE_TOLD).map((one: { readonly executionId: string }) => one.executionId);
  return { made: { executionIds: ids.join(" ") } };
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly type: string;
  readonly body: string | Readable;
}

function queryOf(url: string): string {
  const at = url.indexOf("?");
  return at === -1 ? "" : url.slice(at + 1);
}
