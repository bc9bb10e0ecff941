/**
 * The coordinator: background duties that keep the broker's promises when nobody looks.
 *
 * It runs in every process that owns a broker. Of all coordinators on one broker one leads and runs
 * the duties (leadership.ts); each duty has a loop of its own (duty-loop.ts). The coordinator keeps
 * nothing in memory that matters: killed at any moment, the next leader goes on from the broker.
 */
import type { Broker } from "../broker/contract.ts";
import { HoldfastError } from "../errors/index.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Clock } from "../util/clock.ts";
import { dutiesOf } from "./duties.ts";
import type { DutyReport } from "./duty.ts";
import { DutyLoop } from "./duty-loop.ts";
import { Leadership } from "./leadership.ts";

export interface CoordinatorOptions {
  readonly broker: Broker;
  readonly clock: Clock;
  /** 0 ≤ x < 1. */
  readonly random: () => number;
  readonly logger: Logger;
  /** Names this process among all coordinators of the broker. */
  readonly holder: string;
  /** Milliseconds by duty name, in place of the duty's own interval. */
  readonly intervals?: Readonly<Record<string, number>>;
}

export interface Coordinator {
  readonly isLeader: boolean;
  /** Runs one portion of a duty now, leader or not: running twice is harmless. */
  runOnce(dutyName: string): Promise<DutyReport>;
  /** Ends all duties after the runs under way and hands the leader lease over. */
  stop(): Promise<void>;
}

/** Starts the duties. The first broker call comes after this returns. */
export function startCoordinator(options: CoordinatorOptions): Coordinator {
  const { broker, clock, random, holder } = options;
  const logger = options.logger.child({ coordinator: holder });
  // What the leader before this one did not live to see must not wait any longer.
  const onTakeOver = (): void => loops.forEach((loop) => loop.runSoon());
  const leadership = new Leadership({ broker, clock, logger, holder, onTakeOver });
  const duties = dutiesOf(clock);
  const loops: readonly DutyLoop[] = duties.map((registered) => {
    const duty = { ...registered, intervalMs: options.intervals?.[registered.name] ?? registered.intervalMs };
    return new DutyLoop({ duty, broker, clock, random, logger, isLeader: () => leadership.isLeader });
  });
  leadership.start();
  for (const loop of loops) loop.start();
  return {
    get isLeader() {
      return leadership.isLeader;
    },
    runOnce: async (dutyName) => {
      const duty = duties.find((candidate) => candidate.name === dutyName);
      if (duty === undefined) throw new HoldfastError("INTERNAL", { problem: `there is no duty ${dutyName}` });
      return await duty.runOnce(broker);
    },
    stop: async () => {
      await Promise.all(loops.map((loop) => loop.stop()));
      await leadership.stop();
    },
  };
}

export { dutiesOf } from "./duties.ts";
export type { Duty, DutyReport } from "./duty.ts";
export { LEADER_TTL_MS } from "./leadership.ts";
