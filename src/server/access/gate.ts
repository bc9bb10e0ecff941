/**
 * Who makes a request: by its token, by a worker's signature, or by coming from this machine.
 *
 * In this order: an address that has failed too often waits; a token that is shown must be good; a
 * signature that is shown must be right; without either, only a server that listens on this machine
 * alone lets callers in, as administrators, and no web pages (browser.ts).
 */
import type { IncomingHttpHeaders } from "node:http";
import type { Operation } from "../../api/operation.ts";
import { bearerToken } from "../../broker/remote/token.ts";
import { HoldfastError } from "../../errors/index.ts";
import type { Clock } from "../../util/clock.ts";
import { type Principal, principalKey } from "../principal.ts";
import { callerKey, isLoopbackHost } from "./address.ts";
import { refusalOf } from "./browser.ts";
import { FailureLimit, RateLimit } from "./limits.ts";
import { isSigned, verifySignature } from "./signature.ts";
import type { TokenStore, TokenView } from "./token-store.ts";

export interface GateOptions {
  readonly tokens: TokenStore;
  readonly clock: Clock;
  /** Whether a text is an administrator's token that is in no store. */
  readonly isAdminToken: (text: string) => boolean;
  readonly needsToken: boolean;
  readonly workerSecret?: string;
  readonly corsOrigins: readonly string[];
  /** 0: as many as they like. */
  readonly requestsPerSecond: number;
}

export interface GateRequest {
  readonly headers: IncomingHttpHeaders;
  readonly remoteAddress: string;
}

export const LOOPBACK: Principal = { name: "loopback", role: "admin" };
/** Whom operations for anyone are for. */
const ANYONE: Principal = { name: "anyone", role: "read" };
const ADMIN_BY_SETTING: Principal = { name: "setting", role: "admin" };

/** Bad tokens and signatures of one address per minute. */
export const MAX_FAILURES = 20;
export const FAILURE_WINDOW_MS = 60_000;

export class Gate {
  readonly #options: GateOptions;
  readonly #failures: FailureLimit;
  readonly #rate: RateLimit | undefined;

  constructor(options: GateOptions) {
    const { clock, requestsPerSecond } = options;
    this.#options = options;
    this.#failures = new FailureLimit(clock, { most: MAX_FAILURES, windowMs: FAILURE_WINDOW_MS });
    this.#rate = requestsPerSecond === 0 ? undefined : new RateLimit(clock, requestsPerSecond);
  }

  /** Errors: TOKEN_REFUSED, FORBIDDEN, RATE_LIMITED, and those of the broker. */
  async caller(request: GateRequest, operation?: Operation): Promise<Principal> {
    const principal =
      operation?.callers === "anyone" ? await this.#anyone(request) : await this.#known(request, operation);
    const rated = principal === ANYONE ? callerKey(request.remoteAddress) : principalKey(principal);
    const waitMs = this.#rate?.take(rated) ?? 0;
    if (waitMs > 0) {
      throw new HoldfastError("RATE_LIMITED", { reason: ` of ${principal.name}`, retryAfterMs: waitMs });
    }
    return principal;
  }

  /** A probe of health does not need to know a token, and one with an old token is not turned away. */
  async #anyone(request: GateRequest): Promise<Principal> {
    if (bearerToken(request.headers.authorization) === undefined) return ANYONE;
    try {
      return await this.#known(request, undefined);
    } catch {
      return ANYONE;
    }
  }

  async #known(request: GateRequest, operation: Operation | undefined): Promise<Principal> {
    const { headers, remoteAddress } = request;
    const { workerSecret, needsToken, corsOrigins } = this.#options;
    const token = bearerToken(headers.authorization);
    const caller = callerKey(remoteAddress);
    if (token !== undefined) return this.#counted(caller, () => this.#byToken(token));
    if (workerSecret !== undefined && isSigned(headers)) {
      return this.#counted(caller, async () => this.#bySignature(headers, workerSecret));
    }
    if (headers.authorization !== undefined && !/^Bearer *$/i.test(headers.authorization)) {
      throw refused("The Authorization header must be `Bearer TOKEN`.");
    }
    if (workerSecret !== undefined && operation !== undefined && isForWorkersOnly(operation)) {
      throw refused("This call needs a worker's signature or a token.");
    }
    if (needsToken) {
      throw refused("This server needs a token: send `Authorization: Bearer TOKEN`, or set HOLDFAST_TOKEN.");
    }
    // The headers are the caller's own words; where it comes from is not.
    if (!isLoopbackHost(remoteAddress)) throw refused("Only callers on this machine are let in without a token.");
    const refusal = refusalOf(headers, corsOrigins);
    if (refusal !== undefined) throw new HoldfastError("FORBIDDEN", { problem: refusal });
    return LOOPBACK;
  }

  /** Counts what fails; an address that has failed too often is not even listened to. */
  async #counted(caller: string, identify: () => Promise<Principal>): Promise<Principal> {
    const waitMs = this.#failures.waitMs(caller);
    if (waitMs > 0) {
      throw new HoldfastError("RATE_LIMITED", { reason: " with a bad token", retryAfterMs: waitMs });
    }
    try {
      return await identify();
    } catch (thrown) {
      if (HoldfastError.is(thrown, "TOKEN_REFUSED")) this.#failures.fail(caller);
      throw thrown;
    }
  }

  async #byToken(text: string): Promise<Principal> {
    const { tokens, isAdminToken } = this.#options;
    if (isAdminToken(text)) return ADMIN_BY_SETTING;
    const verdict = await tokens.verify(text);
    if ("token" in verdict) return principalOf(verdict.token);
    throw refused(
      verdict.refused === "expired"
        ? "The token has expired; make a new one with `holdfast token create`."
        : "The token is not known (any more); make a new one with `holdfast token create`.",
    );
  }

  #bySignature(headers: IncomingHttpHeaders, secret: string): Principal {
    const verdict = verifySignature(headers, secret, this.#options.clock.now());
    if ("refused" in verdict) throw refused(verdict.refused);
    return { name: `worker:${verdict.workerId}`, role: "worker", workerId: verdict.workerId };
  }
}

/** Operations that only workers (and administrators) call. */
function isForWorkersOnly({ callers }: Operation): boolean {
  return callers !== "anyone" && callers.length > 0 && callers.every((role) => role === "worker");
}

function principalOf({ id, name, role, pools }: TokenView): Principal {
  return { name, role, tokenId: id, ...(pools === undefined ? {} : { pools }) };
}

function refused(problem: string): HoldfastError {
  return new HoldfastError("TOKEN_REFUSED", { problem });
}
