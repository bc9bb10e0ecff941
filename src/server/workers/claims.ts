/**
 * Claims over HTTP, one at a time for each worker.
 *
 * An answer may be lost on its way, and with it the leases in it. So a claim names the leases that its
 * worker knows of, and the broker takes back what the session holds beyond these before it gives more.
 * That would take from an earlier claim of the same worker what it is just being given; so a later
 * claim ends an earlier one, which hands back what it got. (A worker does not ask twice at once, but
 * one that gave up on an answer asks again while the server still waits for work to come.)
 *
 * A wait is cut into slices (host-call.ts): soon after the caller has gone nobody waits for it any
 * more, and what is granted too late goes back at once.
 */
import type { Broker, ClaimReply, Lease, LeaseRef, ReconcileReply } from "../../broker/contract.ts";
import { handBack, performCall } from "../../broker/remote/host-call.ts";
import { HoldfastError } from "../../errors/index.ts";
import type { Logger } from "../../telemetry/log.ts";
import { type KnownWorker, unknownWorker } from "./directory.ts";

export interface ClaimRequest {
  readonly max: number;
  readonly waitMs: number;
  /** All leases that the worker knows of. */
  readonly held: readonly LeaseRef[];
  /** Aborted when nobody wants the answer any more. */
  readonly signal: AbortSignal;
}

export interface Claimed extends ClaimReply {
  /** Those of `held` that the worker does not hold (any more). */
  readonly lost: readonly LeaseRef[];
}

interface UnderWay {
  isSuperseded: boolean;
  readonly ended: Promise<unknown>;
}

export class WorkerClaims {
  readonly #broker: Broker;
  readonly #logger: Logger;
  /** By session. */
  readonly #underWay = new Map<string, UnderWay>();

  constructor({ broker, logger }: { readonly broker: Broker; readonly logger: Logger }) {
    this.#broker = broker;
    this.#logger = logger;
  }

  /** Errors: SESSION_LOST, WORKER_NOT_FOUND when it ends while it waits, CLAIM_SUPERSEDED. */
  async claim(worker: KnownWorker, request: ClaimRequest): Promise<Claimed> {
    const { session } = worker;
    const former = this.#underWay.get(session);
    if (former !== undefined) former.isSuperseded = true;
    const end = Promise.withResolvers<void>();
    const own: UnderWay = { isSuperseded: false, ended: end.promise };
    this.#underWay.set(session, own);
    try {
      await former?.ended;
      return await this.#claimAlone(worker, request, own);
    } finally {
      if (this.#underWay.get(session) === own) this.#underWay.delete(session);
      end.resolve();
    }
  }

  async #claimAlone(worker: KnownWorker, request: ClaimRequest, own: UnderWay): Promise<Claimed> {
    const { session, workerId } = worker;
    const { held, max, waitMs, signal } = request;
    const isWanted = (): boolean => !signal.aborted && !own.isSuperseded;
    if (own.isSuperseded) throw superseded(workerId);
    const { lost }: ReconcileReply = await this.#broker.reconcile({ session, held });
    // The worker should hear of these now, and not when the wait is over.
    const params = { session, max, waitMs: lost.length > 0 ? 0 : waitMs };
    const reply = (await performCall(this.#broker, { method: "claim", params }, isWanted).catch((thrown: unknown) => {
      // Not to be tried in another session: if there is one, the worker has begun anew and holds something else.
      throw HoldfastError.is(thrown, "SESSION_LOST") ? unknownWorker(workerId) : thrown;
    })) as ClaimReply;
    if (isWanted()) return { ...reply, lost };
    await this.giveBack(worker, reply.leases);
    if (own.isSuperseded) throw superseded(workerId);
    return { ...reply, leases: [], lost };
  }

  /** Leases that were granted and will not be told. */
  async giveBack({ session, workerId }: KnownWorker, leases: readonly Lease[]): Promise<void> {
    if (leases.length === 0) return;
    try {
      await handBack(this.#broker, { session, leases });
    } catch (thrown) {
      // The worker's next claim does not name them; or its session dies, and they with it.
      const error = HoldfastError.from(thrown);
      this.#logger.warn({ worker: workerId, leases: leases.length, error }, "leases could not be handed back");
    }
  }
}

function superseded(worker: string): HoldfastError {
  return new HoldfastError("CLAIM_SUPERSEDED", { worker });
}
