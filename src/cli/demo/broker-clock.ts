/**
 * The broker's clock, as this machine can know it. A demo measures the time from its own kill to a
 * take-over that the broker dates; on a broker elsewhere the two clocks may differ.
 */
import type { Clock } from "../../util/clock.ts";

export interface DatedCall {
  /** On this machine's clock. */
  readonly askedAt: number;
  readonly answeredAt: number;
  /** What the broker dated the call to. */
  readonly datedAt: number;
}

/** This machine's clock, set right by one call; as exact as half the time that the call took. */
export function brokerClock(clock: Clock, { askedAt, answeredAt, datedAt }: DatedCall): Clock {
  const isInBetween = datedAt >= askedAt && datedAt <= answeredAt;
  const aheadMs = isInBetween ? 0 : Math.round(datedAt - (askedAt + answeredAt) / 2);
  return {
    now: () => clock.now() + aheadMs,
    schedule: (delayMs, action) => clock.schedule(delayMs, action),
  };
}
