/** A broker together with the duties that it needs some process to run. */
import type { Broker } from "../broker/contract.ts";
import { startCoordinator } from "../coordinator/index.ts";
import type { Logger } from "../telemetry/log.ts";
import { type Clock, sleep } from "../util/clock.ts";

/** A broker that does not answer must not keep its process: what is not handed over runs out by itself. */
const STOP_PATIENCE_MS = 1_000;

export interface CoordinatedOptions {
  readonly clock: Clock;
  readonly random: () => number;
  /** Names this process among all coordinators of the broker. */
  readonly holder: string;
  readonly logger: Logger;
}

/**
 * Runs the coordinator's duties beside the broker's calls until it is closed, where the broker says
 * that its processes must. One of all coordinators on it leads; when that one dies, another does.
 */
export function coordinated(broker: Broker, options: CoordinatedOptions): Broker {
  if (!broker.features.needsCoordinator) return broker;
  const coordinator = startCoordinator({ broker, ...options });
  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    const stopped = new AbortController();
    const tooLong = sleep(options.clock, STOP_PATIENCE_MS, stopped.signal).catch(() => undefined);
    await Promise.race([coordinator.stop(), tooLong]);
    stopped.abort(new Error("stopped in time"));
    await broker.close();
  };
  return { ...broker, close: () => (closing ??= close()) };
}
