/**
 * What a contract case works with: a fresh broker, the virtual clock that it lives by, and workers
 * that do what the case says.
 */
import assert from "node:assert/strict";
import type { Broker, Counters, ExecutionView, Submission, WorkerProfile } from "../../src/broker/contract.ts";
import type { BrokerSettings } from "../../src/broker/settings.ts";
import { HoldfastError, type ErrorCode } from "../../src/errors/index.ts";
import type { Clock } from "../../src/util/clock.ts";
import { FakeWorker } from "../support/fake-worker.ts";
import type { VirtualClock } from "../support/virtual-clock.ts";

/** What a factory needs to build a broker; all of it is deterministic. */
export interface BrokerIngredients {
  readonly clock: Clock;
  readonly random: () => number;
  readonly newId: () => string;
  readonly settings: Partial<BrokerSettings>;
}

export interface BrokerUnderTest {
  readonly broker: Broker;
  /** Closes the broker and everything around it. */
  close(): Promise<void>;
}

export interface BrokerFactory {
  (ingredients: BrokerIngredients): Promise<BrokerUnderTest>;
}

export class World {
  readonly broker: Broker;
  readonly clock: VirtualClock;
  /** How many random histories a property is tried on. */
  readonly propertyRuns: number;
  /** Another world with a broker of its own; it is closed with this one. */
  readonly another: () => Promise<World>;

  constructor(parts: { broker: Broker; clock: VirtualClock; propertyRuns: number; another: () => Promise<World> }) {
    this.broker = parts.broker;
    this.clock = parts.clock;
    this.propertyRuns = parts.propertyRuns;
    this.another = parts.another;
  }

  join(profile: Partial<WorkerProfile> = {}): Promise<FakeWorker> {
    return FakeWorker.join(this.broker, profile);
  }

  /** Submits one piece of work and returns its id. */
  async submit(submission: Submission): Promise<string> {
    const [receipt] = (await this.broker.submit({ submissions: [submission] })).executions;
    assert.ok(receipt !== undefined, "a submission has a receipt");
    return receipt.executionId;
  }

  view(executionId: string): Promise<ExecutionView> {
    return this.broker.getExecution({ executionId });
  }

  async counters(executionId: string): Promise<Counters> {
    return (await this.view(executionId)).counters;
  }

  /** Moves the broker's clock, running on the way what falls due. */
  advance(ms: number): Promise<void> {
    return this.clock.advance(ms);
  }

  /** Waits until calls that were made have reached the broker, and answers that it gave are here. */
  async settle(): Promise<void> {
    await this.clock.advance(0);
  }

  promote(limit = 1_000): ReturnType<Broker["promoteDue"]> {
    return this.broker.promoteDue({ limit });
  }

  reap(limit = 1_000): ReturnType<Broker["reapSessions"]> {
    return this.broker.reapSessions({ limit });
  }
}

/** The numbers that are not zero, and the total: what a case has to say about counters. */
export function books(counters: Counters): Partial<Counters> {
  const entries = Object.entries(counters) as [keyof Counters, number][];
  return Object.fromEntries(entries.filter(([name, count]) => name === "total" || count > 0));
}

/** The call is refused with this code. */
export async function refusedWith(code: ErrorCode, call: () => Promise<unknown>): Promise<void> {
  await assert.rejects(call, (thrown: unknown) => {
    assert.ok(HoldfastError.is(thrown), `expected a HoldfastError, got ${String(thrown)}`);
    assert.equal(thrown.code, code, thrown.message);
    return true;
  });
}
