/** Who makes a request, and what they may do. */
import type { Operation, Role } from "../api/operation.ts";
import { HoldfastError } from "../errors/index.ts";

export interface Principal {
  /** For the audit log: the token's name, `loopback` without one, `worker:ID` for a signed worker. */
  readonly name: string;
  readonly role: Role;
  /** Workers' tokens may be limited to some pools. Absent: all. */
  readonly pools?: readonly string[];
  /** The token's id; absent without a token. */
  readonly tokenId?: string;
  /** A worker that signed its request may speak for itself only. Absent: for any. */
  readonly workerId?: string;
}

/** Errors: FORBIDDEN where this role may not call the operation. */
export function permit(principal: Principal, operation: Operation): void {
  const { callers, method, path } = operation;
  if (callers === "anyone" || principal.role === "admin") return;
  if (callers.some((role) => role === principal.role)) return;
  const allowed = ["admin", ...callers].join(" or ");
  throw forbidden(
    `${who(principal)} may not call ${method} ${path}: its role is ${principal.role}, and it takes ${allowed}.`,
  );
}

/** Errors: FORBIDDEN, naming the first pool for which the principal may not do `deed`. */
export function permitPools(principal: Principal, pools: readonly string[], deed = "work"): void {
  const { pools: own } = principal;
  if (own === undefined) return;
  const foreign = pools.find((pool) => !own.includes(pool));
  if (foreign === undefined) return;
  throw forbidden(`${who(principal)} may not ${deed} for pool ${foreign}, only for ${own.join(", ")}.`);
}

/** Errors: FORBIDDEN where the principal signed as another worker. */
export function permitWorker(principal: Principal, worker: string): void {
  if (principal.workerId === undefined || principal.workerId === worker) return;
  throw forbidden(`The request is signed by worker ${principal.workerId} and may not speak for worker ${worker}.`);
}

/** Who it is, for limits and for what belongs to one principal only: as many as there are tokens and signing workers. */
export function principalKey({ name, tokenId }: Principal): string {
  return tokenId === undefined ? name : `token:${tokenId}`;
}

function who({ name, tokenId }: Principal): string {
  return tokenId === undefined ? name : `Token ${name}`;
}

function forbidden(problem: string): HoldfastError {
  return new HoldfastError("FORBIDDEN", { problem });
}
