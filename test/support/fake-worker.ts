/** One life of a worker, played by a test: it claims, reports and dies when it is told to. */
import assert from "node:assert/strict";
import type { Broker, ClaimReply, Directives, Lease, Outcome, WorkerProfile } from "../../src/broker/contract.ts";
import { done, refOf } from "./outcomes.ts";
import { PendingCall } from "./pending-call.ts";

export class FakeWorker {
  readonly name: string;
  readonly session: string;
  readonly #broker: Broker;

  private constructor(broker: Broker, name: string, session: string) {
    this.#broker = broker;
    this.name = name;
    this.session = session;
  }

  static async join(broker: Broker, profile: Partial<WorkerProfile> = {}): Promise<FakeWorker> {
    const full: WorkerProfile = {
      worker: "w1",
      host: "test-host",
      pid: 1,
      pools: ["default"],
      capabilities: ["cpu"],
      slots: 1,
      ...profile,
    };
    const { session } = await broker.openSession(full);
    return new FakeWorker(broker, full.worker, session);
  }

  claim(max = 1): Promise<ClaimReply> {
    return this.#broker.claim({ session: this.session, max, waitMs: 0 });
  }

  async leases(max = 1): Promise<readonly Lease[]> {
    return (await this.claim(max)).leases;
  }

  /** Exactly one lease, or the test fails. */
  async take(): Promise<Lease> {
    const leases = await this.leases(1);
    assert.equal(leases.length, 1, "expected one lease");
    return leases[0] as Lease;
  }

  waitForWork(waitMs: number, max = 1): PendingCall<ClaimReply> {
    return new PendingCall(this.#broker.claim({ session: this.session, max, waitMs }));
  }

  async report(...outcomes: readonly Outcome[]): Promise<readonly ("accepted" | "refused")[]> {
    return (await this.#broker.commit({ session: this.session, outcomes })).verdicts;
  }

  /** Reports and claims in one step. */
  reportAndClaim(outcomes: readonly Outcome[], max: number, waitMs = 0): ReturnType<Broker["commit"]> {
    return this.#broker.commit({ session: this.session, outcomes, claim: { max, waitMs } });
  }

  /** Reports what must be accepted. */
  async deliver(...outcomes: readonly Outcome[]): Promise<void> {
    const verdicts = await this.report(...outcomes);
    assert.deepEqual(
      verdicts,
      outcomes.map(() => "accepted"),
    );
  }

  /** Completes leases, which must be accepted. */
  finish(...leases: readonly Lease[]): Promise<void> {
    return this.deliver(...leases.map(done));
  }

  heartbeat(running = 0): Promise<Directives> {
    return this.#broker.heartbeat({ session: this.session, running });
  }

  /** Tells that it knows of these leases and no others. */
  reconcile(...held: readonly Lease[]): ReturnType<Broker["reconcile"]> {
    return this.#broker.reconcile({ session: this.session, held: held.map(refOf) });
  }

  die(): Promise<void> {
    return this.#broker.closeSession({ session: this.session, reason: "lost" });
  }

  leave(): Promise<void> {
    return this.#broker.closeSession({ session: this.session, reason: "left" });
  }
}
