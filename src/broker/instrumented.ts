/**
 * The one wrapper around the contract: what every broker needs and none should do by itself.
 *
 * Durations and errors per method, a log line for calls that were slow beyond their own wait,
 * unknown errors turned into INTERNAL, and cheap assertions on replies. A broken assertion is a
 * defect of the broker: the caller gets INTERNAL instead of a reply that would lead it astray.
 */
import { type ErrorCode, HoldfastError } from "../errors/index.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Clock } from "../util/clock.ts";
import {
  type Broker,
  BROKER_METHODS,
  type BrokerMethod,
  type ClaimReply,
  type ClaimRequest,
  type CommitReply,
  type ReconcileReply,
} from "./contract.ts";
import type { ParamsOf } from "./schemas.ts";

export interface BrokerMetrics {
  /** One call has ended; `errorCode` only when it failed. */
  observe(method: BrokerMethod, durationMs: number, errorCode?: ErrorCode): void;
}

export interface InstrumentOptions {
  readonly logger: Logger;
  readonly metrics: BrokerMetrics;
  readonly clock: Clock;
  /** Calls that take longer than this, beyond their own wait, are logged. */
  readonly slowCallMs?: number;
}

const DEFAULT_SLOW_CALL_MS = 1_000;

type Call = (params: unknown) => Promise<unknown>;

/** A broker that does what `broker` does, seen. */
export function instrument(broker: Broker, options: InstrumentOptions): Broker {
  const methods = Object.fromEntries(
    BROKER_METHODS.map((method) => {
      const inner = (broker[method] as Call).bind(broker);
      return [method, observed(method, inner, options)];
    }),
  ) as unknown as Pick<Broker, BrokerMethod>;
  return { ...methods, features: broker.features, close: () => broker.close() };
}

function observed(method: BrokerMethod, inner: Call, options: InstrumentOptions): Call {
  const { clock, logger, metrics, slowCallMs = DEFAULT_SLOW_CALL_MS } = options;
  const note = (params: unknown, startedAt: number, error?: HoldfastError): void => {
    const durationMs = clock.now() - startedAt;
    metrics.observe(method, durationMs, error?.code);
    if (durationMs > slowCallMs + waitOf(params)) {
      logger.debug(
        { method, durationMs, waitMs: waitOf(params), ...(error === undefined ? {} : { code: error.code }) },
        "slow broker call",
      );
    }
    if (error?.code === "INTERNAL") logger.error({ method, error }, "broker call failed unexpectedly");
  };
  return async (params) => {
    const startedAt = clock.now();
    try {
      const reply = await inner(params);
      const defect = defectOf(method, params, reply);
      if (defect !== undefined) throw new HoldfastError("INTERNAL", { problem: `${method} answered ${defect}` });
      note(params, startedAt);
      return reply;
    } catch (thrown) {
      const error = HoldfastError.from(thrown);
      note(params, startedAt, error);
      throw error;
    }
  };
}

/** What is wrong with a reply by itself and against its params; undefined when nothing is. */
function defectOf(method: BrokerMethod, params: unknown, reply: unknown): string | undefined {
  switch (method) {
    case "submit": {
      const asked = (params as ParamsOf<"submit">).submissions.length;
      const { executions } = reply as Awaited<ReturnType<Broker["submit"]>>;
      return executions.length === asked ? undefined : `${executions.length} receipts for ${asked} submissions`;
    }
    case "claim":
      return defectOfClaim(params as ParamsOf<"claim">, reply as ClaimReply);
    case "commit": {
      const { outcomes, claim } = params as ParamsOf<"commit">;
      const committed = reply as CommitReply;
      if (committed.verdicts.length !== outcomes.length)
        return `${committed.verdicts.length} verdicts for ${outcomes.length} outcomes`;
      return defectOfClaim(claim ?? { max: 0, waitMs: 0 }, committed);
    }
    case "reconcile": {
      const { held } = params as ParamsOf<"reconcile">;
      const { lost } = reply as ReconcileReply;
      return lost.length > held.length ? `${lost.length} lost leases where ${held.length} were held` : undefined;
    }
    case "readResults": {
      const { cursor = 0, limit } = params as ParamsOf<"readResults">;
      const page = reply as Awaited<ReturnType<Broker["readResults"]>>;
      return defectOfPage({ after: cursor, limit, cursor: page.cursor, entries: page.rows.length });
    }
    case "readEvents": {
      const { cursor, limit } = params as ParamsOf<"readEvents">;
      const page = reply as Awaited<ReturnType<Broker["readEvents"]>>;
      return defectOfPage({ after: cursor, limit, cursor: page.cursor, entries: page.events.length });
    }
    default:
      return undefined;
  }
}

function defectOfClaim(request: ClaimRequest, reply: ClaimReply): string | undefined {
  if (reply.leases.length > request.max) return `${reply.leases.length} leases where ${request.max} were asked for`;
  const orphan = reply.leases.find((lease) => reply.specs[lease.spec] === undefined);
  return orphan === undefined ? undefined : `a lease without its spec ${orphan.spec}`;
}

function defectOfPage(page: {
  readonly after: number;
  readonly limit: number;
  readonly cursor: number;
  readonly entries: number;
}): string | undefined {
  if (page.cursor < page.after) return `a cursor that goes back from ${page.after} to ${page.cursor}`;
  return page.entries > page.limit ? `${page.entries} entries where ${page.limit} were asked for` : undefined;
}

function waitOf(params: unknown): number {
  const { waitMs, claim } = (params ?? {}) as { readonly waitMs?: number; readonly claim?: ClaimRequest };
  return waitMs ?? claim?.waitMs ?? 0;
}
