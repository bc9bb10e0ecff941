/**
 * Calls of the public API to any of several equal servers.
 *
 * Every call that goes over this link may be made again (its caller sees to that), so a call whose
 * server does not answer goes to the next one, round and round, until patience is over. What a server
 * answers is final, except that it is closing or that there were too many requests. Nothing is kept
 * between calls but which server answered last.
 */
import * as z from "zod";
import { API_PREFIXES, type Operation, pathOf, type ReplyOf, type RequestOf } from "../../api/operation.ts";
import { HoldfastError } from "../../errors/index.ts";
import type { Logger } from "../../telemetry/log.ts";
import { type Clock, sleep } from "../../util/clock.ts";

export interface HttpLinkOptions {
  /** `http://host:port`, one or more. */
  readonly urls: readonly [string, ...string[]];
  readonly token?: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** A call that no server answered for this long fails. */
  readonly giveUpAfterMs: number;
  /** Longest silence of one server, beyond the wait that a call asks for. */
  readonly answerWithinMs: number;
}

/** What a call needs beside its request. */
export interface CallOptions {
  /** The server may take this long to answer. */
  readonly waitMs?: number;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Between two rounds over all servers. */
const ROUND_PAUSE_MS = 100;
/** Longest pause that a server may ask for. */
const MAX_RETRY_AFTER_MS = 5_000;

const errorSchema = z.looseObject({
  code: z.string(),
  details: z.optional(z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]))),
});

interface Sent {
  readonly operation: Operation;
  readonly path: string;
  readonly body: string | undefined;
  readonly options: CallOptions;
}

export class HttpLink {
  readonly #options: HttpLinkOptions;
  readonly #closed = new AbortController();
  /** The server that answered last, or is to be tried next. */
  #at = 0;

  constructor(options: HttpLinkOptions) {
    this.#options = options;
  }

  /** The address that was given, or the last one that answered; without anything secret. */
  get url(): string {
    const url = new URL(this.#options.urls[this.#at] as string);
    return `${url.protocol}//${url.host}`;
  }

  /**
   * Makes a call; its reply is parsed JSON.
   *
   * Errors: those that the server answers, BROKER_UNREACHABLE, BROKER_CLOSED after `close`.
   */
  async call<O extends Operation>(
    operation: O,
    request: Partial<RequestOf<O>>,
    options: CallOptions = {},
  ): Promise<ReplyOf<O>> {
    const { params, query, body } = request as {
      readonly params?: Record<string, unknown>;
      readonly query?: Query;
      readonly body?: unknown;
    };
    const path = `${API_PREFIXES[0]}${pathOf(operation.path, params)}${queryText(query)}`;
    const sent: Sent = { operation, path, body: body === undefined ? undefined : JSON.stringify(body), options };
    return (await this.#untilAnswered(sent)) as ReplyOf<O>;
  }

  close(): void {
    this.#closed.abort(new HoldfastError("BROKER_CLOSED"));
  }

  async #untilAnswered(sent: Sent): Promise<unknown> {
    const { clock, giveUpAfterMs, logger, urls } = this.#options;
    const giveUpAt = clock.now() + giveUpAfterMs;
    for (let tried = 1; ; tried += 1) {
      const answer = await this.#ask(sent);
      if (answer.kind === "reply") return answer.reply;
      if (answer.kind === "refused") throw answer.error;
      const pauseMs = answer.retryAfterMs ?? (tried % urls.length === 0 ? ROUND_PAUSE_MS : 0);
      if (clock.now() + pauseMs >= giveUpAt)
        throw answer.error ?? new HoldfastError("BROKER_UNREACHABLE", { url: this.url, problem: answer.problem });
      logger.debug({ url: this.url, problem: answer.problem }, "a server does not answer");
      if (answer.retryAfterMs === undefined) this.#at = (this.#at + 1) % urls.length;
      if (pauseMs > 0) await sleep(clock, pauseMs, this.#closed.signal);
    }
  }

  async #ask({ operation, path, body, options }: Sent): Promise<Answer> {
    const { token, clock, answerWithinMs } = this.#options;
    const silent = new AbortController();
    const cancelTimer = clock.schedule(answerWithinMs + (options.waitMs ?? 0), () =>
      silent.abort(new Error("it did not answer in time")),
    );
    try {
      const response = await fetch(new URL(path, this.#options.urls[this.#at]), {
        method: operation.method,
        headers: {
          accept: "application/json",
          ...(body === undefined ? {} : { "content-type": "application/json" }),
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...options.headers,
        },
        ...(body === undefined ? {} : { body }),
        redirect: "error",
        signal: AbortSignal.any([silent.signal, this.#closed.signal]),
      });
      const text = await response.text();
      return response.ok ? { kind: "reply", reply: JSON.parse(text) as unknown } : this.#refusal(response, text);
    } catch (thrown) {
      if (this.#closed.signal.aborted) throw this.#closed.signal.reason;
      return { kind: "silent", problem: problemOf(thrown) };
    } finally {
      cancelTimer();
    }
  }

  #refusal(response: Response, text: string): Answer {
    const parsed = errorSchema.safeParse(jsonOf(text));
    if (!parsed.success) return { kind: "silent", problem: `it answers with HTTP status ${response.status}` };
    const { code, details = {} } = parsed.data;
    const error =
      code === "TOKEN_REFUSED"
        ? new HoldfastError("UNAUTHORIZED", { url: this.url })
        : HoldfastError.fromWire({ code, details });
    if (code === "RATE_LIMITED") {
      const retryAfterMs = Math.min(1_000 * Number(response.headers.get("retry-after") ?? 1), MAX_RETRY_AFTER_MS);
      return { kind: "silent", problem: error.message, retryAfterMs, error };
    }
    if (code === "BROKER_CLOSED") return { kind: "silent", problem: "it is closing" };
    return { kind: "refused", error };
  }
}

type Answer =
  | { readonly kind: "reply"; readonly reply: unknown }
  | { readonly kind: "refused"; readonly error: HoldfastError }
  /** Another server, or the same later, may do better. */
  | {
      readonly kind: "silent";
      readonly problem: string;
      readonly retryAfterMs?: number;
      readonly error?: HoldfastError;
    };

type Query = Readonly<Record<string, string | number | boolean | undefined>>;

function queryText(query: Query | undefined): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) if (value !== undefined) search.set(name, String(value));
  const text = search.toString();
  return text === "" ? "" : `?${text}`;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** fetch hides why it failed in the cause. */
function problemOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  const { cause } = thrown;
  if (cause instanceof AggregateError) return cause.errors.map(String).join("; ");
  return cause instanceof Error ? cause.message : thrown.message;
}
