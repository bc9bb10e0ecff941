/** Values, each in the shard of its key. */
import { HoldfastError } from "../../errors/index.ts";
import type { DeleteValueParams, ListValuesParams, ListValuesReply, ValueView, WriteValueParams } from "../contract.ts";
import { MAX_REPLY_PAYLOAD, WRITE_MEMORY_MS } from "../limits.ts";
import type { Reply } from "./link/link.ts";
import type { Shard } from "./shard.ts";
import type { Spread } from "./spread.ts";
import { storedName } from "./state-names.ts";
import { pageOfState } from "./state-pages.ts";

export class Values {
  readonly #shards: readonly Shard[];
  readonly #spread: Spread;

  constructor(shards: readonly Shard[], spread: Spread) {
    this.#shards = shards;
    this.#spread = spread;
  }

  async write(params: WriteValueParams): Promise<{ readonly version: number; readonly expiresAt?: number }> {
    const { key, value, ttlMs, ifVersion, writeId = "" } = params;
    const args = [storedName(key), value, ttlMs ?? "", ifVersion ?? "", writeId, WRITE_MEMORY_MS];
    const [code, version, expiresAt] = await this.#home(key).run("value-write", args);
    if (code === "VERSION_CONFLICT") throw conflict(key, { found: version, expected: ifVersion });
    return { version: Number(version), ...expiry(expiresAt) };
  }

  async read(key: string): Promise<ValueView | undefined> {
    const [, ...row] = await this.#home(key).run("value-read", [storedName(key)]);
    return row.length === 0 ? undefined : valueView(key, row);
  }

  async delete({ key, ifVersion }: DeleteValueParams): Promise<boolean> {
    const [code, found] = await this.#home(key).run("value-delete", [storedName(key), ifVersion ?? ""]);
    if (code === "VERSION_CONFLICT") throw conflict(key, { found, expected: ifVersion });
    return Number(found) === 1;
  }

  async list({ prefix, after, limit }: ListValuesParams): Promise<ListValuesReply> {
    const { entries, ...rest } = await pageOfState(this.#shards, {
      script: "value-list",
      prefix,
      after,
      limit,
      room: MAX_REPLY_PAYLOAD,
      read: valueView,
      sizeOf: ({ value }) => value.length,
    });
    return { values: entries, ...rest };
  }

  #home(key: string): Shard {
    return this.#spread.shardOf(key);
  }
}

function valueView(key: string, [version, updatedAt, expiresAt, value]: readonly Reply[]): ValueView {
  return {
    key,
    value: String(value),
    version: Number(version),
    updatedAt: Number(updatedAt),
    ...expiry(expiresAt),
  };
}

function expiry(expiresAt: Reply | undefined): { readonly expiresAt?: number } {
  return expiresAt === "" ? {} : { expiresAt: Number(expiresAt) };
}

function conflict(
  key: string,
  { found, expected }: { readonly found: Reply | undefined; readonly expected: number | undefined },
): HoldfastError {
  return new HoldfastError("VERSION_CONFLICT", { key, found: Number(found), expected: expected ?? 0 });
}
