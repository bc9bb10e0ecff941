import type { Broker } from "../contract.ts";
import { SqliteBroker, type SqliteBrokerOptions } from "./sqlite-broker.ts";

export type { SqliteBrokerOptions } from "./sqlite-broker.ts";

/**
 * Opens, or creates, the file and becomes its owner.
 * Errors: BROKER_OWNED, STORE_TOO_NEW, STORE_CORRUPT, STORE_FULL, STORE_FAILED.
 */
export function openSqliteBroker(options: SqliteBrokerOptions): Broker {
  return new SqliteBroker(options);
}
// handed over
