/** What one session looks like from this process. */
import type { Lease } from "../contract.ts";
import type { LeaseLane } from "./claim-reply.ts";
import { KnownLeases } from "./known-leases.ts";
import type { Shard } from "./shard.ts";

/** A lease that was sent to the session while it waited. */
export interface Received {
  readonly shard: Shard;
  readonly lane: LeaseLane;
  readonly lease: Lease;
}

export class LocalSession {
  readonly id: string;
  readonly inbox: Received[] = [];
  /** Calls that wait for work. */
  waits = 0;
  /** The shard that is asked first. */
  nextShard = 0;
  readonly #known: readonly KnownLeases[];
  /** Ends its listeners, by which others see that this process lives. */
  release: () => void = () => undefined;

  constructor(id: string, shards: number) {
    this.id = id;
    this.#known = Array.from({ length: shards }, () => new KnownLeases());
  }

  knownIn(shard: Shard): KnownLeases {
    return this.#known[shard.no] as KnownLeases;
  }
}
