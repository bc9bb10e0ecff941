/**
 * Names of shared state that belong to Holdfast itself: its servers keep tokens there. Whoever passes
 * on what users ask for refuses them; the brokers themselves know no such difference.
 */
import { HoldfastError } from "../errors/index.ts";
import type { BrokerMethod, ListLocksReply, ListValuesReply } from "./contract.ts";
import { RESERVED_PREFIX } from "./limits.ts";

const NAME_FIELDS: Partial<Record<BrokerMethod, string>> = {
  acquireLock: "lock",
  extendLock: "lock",
  releaseLock: "lock",
  readLock: "lock",
  writeValue: "key",
  readValue: "key",
  deleteValue: "key",
  saveCheckpoint: "scope",
  readCheckpoint: "scope",
  listCheckpoints: "scope",
  deleteCheckpoints: "scope",
};

/** Throws NAME_RESERVED for a call that names such state; lists are for `hideReservedNames`. */
export function refuseReservedNames(method: BrokerMethod, params: unknown): void {
  const path = NAME_FIELDS[method];
  if (path === undefined) {
    if (method === "listValues" || method === "listLocks") refuseReservedPrefix(params);
    return;
  }
  const name = (params as Readonly<Record<string, unknown>>)[path];
  if (typeof name === "string" && isReserved(name))
    throw new HoldfastError("NAME_RESERVED", { path, prefix: RESERVED_PREFIX });
}

export function isReserved(name: string): boolean {
  return name.startsWith(RESERVED_PREFIX);
}

function refuseReservedPrefix(params: unknown): void {
  const { prefix } = params as { readonly prefix?: string };
  if (prefix !== undefined && isReserved(prefix))
    throw new HoldfastError("NAME_RESERVED", { path: "prefix", prefix: RESERVED_PREFIX });
}

/** The reply as users may see it: lists without such names. */
export function hideReservedNames<T>(method: BrokerMethod, reply: T): T {
  if (method === "listValues") {
    const page = reply as ListValuesReply;
    return { ...page, values: page.values.filter(({ key }) => !isReserved(key)) } as T;
  }
  if (method === "listLocks") {
    const page = reply as ListLocksReply;
    return { ...page, locks: page.locks.filter(({ lock }) => !isReserved(lock)) } as T;
  }
  return reply;
}
