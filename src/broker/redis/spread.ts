/** How executions are spread over shards: by a hash of the id; a submit key decides like an id. */
import { createHash } from "node:crypto";
import type { Shard } from "./shard.ts";

export class Spread {
  readonly #shards: readonly Shard[];

  constructor(shards: readonly Shard[]) {
    this.#shards = shards;
  }

  get all(): readonly Shard[] {
    return this.#shards;
  }

  /** How many there are. */
  get shards(): number {
    return this.#shards.length;
  }

  shardOf(executionId: string): Shard {
    return this.#shards[this.#placeOf(executionId)] as Shard;
  }

  /** Draws ids until one lies in the given shard: as many draws as there are shards, about. */
  idIn(shard: Shard, newId: () => string): string {
    for (;;) {
      const id = newId();
      if (this.shardOf(id) === shard) return id;
    }
  }

  #placeOf(text: string): number {
    if (this.#shards.length === 1) return 0;
    return createHash("sha256").update(text).digest().readUInt32BE(0) % this.#shards.length;
  }
}
