/** One request under way, from its head to its answer. */
import type { FastifyReply, FastifyRequest } from "fastify";
import type { RequestFacts } from "./access.ts";
import type { Call } from "./handler.ts";
import type { Principal } from "./principal.ts";

interface Asked {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly closing: AbortSignal;
  readonly remoteAddress: string;
}

/** Made once: an error of its own for every call that has been answered would cost more than the answer's head. */
const GONE = new Error("the caller has gone, or the server ends");

export class RequestCall implements Call {
  readonly requestId: string;
  readonly facts: RequestFacts;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly #closing: AbortSignal;
  #principal: Principal | undefined;
  #aborts: AbortController | undefined;

  constructor({ request, reply, closing, remoteAddress }: Asked) {
    this.requestId = request.id;
    this.request = request;
    this.reply = reply;
    this.#closing = closing;
    const { method, headers, raw } = request;
    this.facts = { method, url: raw.url ?? "", headers, remoteAddress };
  }

  get principal(): Principal {
    if (this.#principal === undefined) throw new Error("nobody was let in yet");
    return this.#principal;
  }

  set principal(principal: Principal) {
    this.#principal = principal;
  }

  /** Whoever was let in, for the audit log. */
  get admitted(): Principal | undefined {
    return this.#principal;
  }

  /** Made when somebody asks for it: most calls neither wait nor stream. */
  get signal(): AbortSignal {
    if (this.#aborts === undefined) {
      const aborts = new AbortController();
      this.#aborts = aborts;
      const abort = (): void => {
        this.#closing.removeEventListener("abort", abort);
        aborts.abort(GONE);
      };
      const { raw } = this.reply;
      if (this.#closing.aborted || raw.destroyed) abort();
      else {
        this.#closing.addEventListener("abort", abort, { once: true });
        raw.once("close", abort);
      }
    }
    return this.#aborts.signal;
  }

  header(name: string): string | undefined {
    const value = this.facts.headers[name];
    return Array.isArray(value) ? value.join(", ") : value;
  }
}
