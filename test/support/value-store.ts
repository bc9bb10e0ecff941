/** The values of a broker's state store, in memory: what access is tested with where no broker is needed. */
import type { ValueView } from "../../src/broker/contract.ts";
import { HoldfastError } from "../../src/errors/index.ts";
import type { ValueStore } from "../../src/server/access/token-store.ts";
import type { Clock } from "../../src/util/clock.ts";

export class MemoryValues implements ValueStore {
  readonly values = new Map<string, ValueView>();
  readonly #versions = new Map<string, number>();
  readonly #clock: Clock;
  /** Calls so far, by method. */
  readonly calls = { readValue: 0, writeValue: 0, deleteValue: 0, listValues: 0 };

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  readValue: ValueStore["readValue"] = async ({ key }) => {
    this.calls.readValue += 1;
    const value = this.#live(key);
    return value === undefined ? {} : { value };
  };

  writeValue: ValueStore["writeValue"] = async ({ key, value, ttlMs, ifVersion }) => {
    this.calls.writeValue += 1;
    const found = this.#live(key)?.version ?? 0;
    if (ifVersion !== undefined && ifVersion !== found) {
      throw new HoldfastError("VERSION_CONFLICT", { key, found, expected: ifVersion });
    }
    const now = this.#clock.now();
    const version = (this.#versions.get(key) ?? 0) + 1;
    const expiry = ttlMs === null ? {} : { expiresAt: now + ttlMs };
    this.#versions.set(key, version);
    this.values.set(key, { key, value, version, updatedAt: now, ...expiry });
    return { version, ...expiry };
  };

  deleteValue: ValueStore["deleteValue"] = async ({ key }) => {
    this.calls.deleteValue += 1;
    const deleted = this.#live(key) !== undefined;
    this.values.delete(key);
    return { deleted };
  };

  listValues: ValueStore["listValues"] = async ({ prefix = "", limit, after = "" }) => {
    this.calls.listValues += 1;
    const keys = [...this.values.keys()].filter((key) => key.startsWith(prefix) && key > after).sort();
    const values = keys.flatMap((key) => this.#live(key) ?? []).slice(0, limit);
    const last = values.at(-1);
    return { values, ...(keys.length > limit && last !== undefined ? { next: last.key } : {}) };
  };

  #live(key: string): ValueView | undefined {
    const value = this.values.get(key);
    return value?.expiresAt !== undefined && value.expiresAt <= this.#clock.now() ? undefined : value;
  }
}
