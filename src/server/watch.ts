/** What a server keeps an eye on all the time, for all of its handlers. */
import { EventHub } from "./events/hub.ts";
import type { ServerParts } from "./handler.ts";
import { Throughput } from "./throughput.ts";

export interface Watch {
  readonly hub: EventHub;
  readonly throughput: Throughput;
  /** When the server began. */
  readonly startedAt: number;
}

/** Ends with the server. */
export function startWatch(parts: ServerParts): Watch {
  const throughput = new Throughput(parts);
  throughput.start();
  return { hub: new EventHub(parts), throughput, startedAt: parts.clock.now() };
}
