/**
 * What a client does when another host answers than before: it repairs its sessions.
 *
 * A host that dies without a word may have granted a claim and not have been able to say so. The
 * next host finds the leases in the store, held by a session that lives and does not know of them:
 * nobody would ever run them. In turn the store may have lost claims that were told (a power cut),
 * and orders to stop that lived in the old host's memory only. So client and broker compare: the
 * client tells the leases that the session knows of (client-leases.ts), the broker hands the others
 * back and names those that are held no more, which the worker is then told to stop. The worker
 * notices nothing else: it keeps its session and all that it runs.
 *
 * A session is sound, or under repair from the welcome of another host until `reconcile` is
 * answered. Every session that holds leases is repaired, and every one with a claim that the old
 * host may have granted. Meanwhile its claims wait here, old and new, because a lease granted now
 * could not be among those that were told; they are sent when it is sound. A commit that the old
 * host may have performed is sent again without its claim, before anything else. All other calls
 * take their course: an outcome that is counted before its lease is compared only makes it "lost",
 * and by then it is struck out of the book.
 *
 * The repair outlives lost connections and further hosts: what was told stays true, since leases
 * only become fewer while claims wait. A host that cannot answer is asked again. Only when the
 * session is lost, or the host cannot understand, does the worker hear SESSION_LOST; in the second
 * case the session is closed, so that its leases go to others.
 */
import { HoldfastError } from "../../errors/index.ts";
import type { Logger } from "../../telemetry/log.ts";
import type { CommitParams, ReconcileParams, ReconcileReply } from "../contract.ts";
import type { CallTable, PendingCall } from "./client-calls.ts";
import type { LeaseBook } from "./client-leases.ts";
import { readTail, requestTail } from "./wire.ts";

export interface RepairTools {
  readonly calls: CallTable;
  readonly leases: LeaseBook;
  readonly logger: Logger;
  /** Waits for its reply however long that takes. */
  reconcile(params: ReconcileParams): Promise<ReconcileReply>;
  /** Sends a call that was held back. */
  send(call: PendingCall): void;
  /** Gives a session up. */
  close(session: string): void;
}

interface Repair {
  readonly session: string;
  /** A claim of it may have been granted by a host that is gone. */
  isDoubtful: boolean;
  isAsked: boolean;
}

export class Repairs {
  readonly #tools: RepairTools;
  readonly #repairs = new Map<string, Repair>();

  constructor(tools: RepairTools) {
    this.#tools = tools;
  }

  /** Whether a call must not be sent now, because it claims for a session under repair. */
  holdsBack(call: PendingCall): boolean {
    return call.claimsFor !== undefined && this.#repairs.has(call.claimsFor);
  }

  /** Another host than before answers. To be called before anything is sent to it; `ask` comes after that. */
  begin(): void {
    const { calls, leases } = this.#tools;
    for (const session of leases.sessions()) this.#repairOf(session);
    for (const call of calls.all()) {
      if (call.claimsFor === undefined || call.sentTo === undefined) continue;
      this.#repairOf(call.claimsFor).isDoubtful = true;
      if (call.settle === undefined) calls.take(call.id);
      else if (call.method === "commit") leaveClaimOut(call);
      else call.sentTo = undefined;
    }
  }

  /** Tells the broker of sessions of which it has not been told. To be called while connected. */
  ask(): void {
    const { leases } = this.#tools;
    for (const repair of this.#repairs.values()) {
      if (repair.isAsked) continue;
      repair.isAsked = true;
      const { session } = repair;
      this.#tools.reconcile({ session, held: leases.held(session) }).then(
        (reply) => this.#succeed(repair, reply),
        (thrown: unknown) => this.#fail(repair, HoldfastError.from(thrown)),
      );
    }
  }

  #repairOf(session: string): Repair {
    let repair = this.#repairs.get(session);
    if (repair === undefined) {
      repair = { session, isDoubtful: false, isAsked: false };
      this.#repairs.set(session, repair);
    }
    return repair;
  }

  #succeed({ session }: Repair, { returned, lost }: ReconcileReply): void {
    const { leases, logger } = this.#tools;
    logger.info({ session, returned, lost: lost.length }, "another host serves the broker; the session goes on");
    leases.noteLost(session, lost);
    this.#release(session);
  }

  #fail(repair: Repair, error: HoldfastError): void {
    const { leases, logger } = this.#tools;
    const { session, isDoubtful } = repair;
    if (error.code === "SESSION_LOST") {
      this.#refuse(session, error);
      return;
    }
    if (error.retryable) {
      logger.debug({ session, error }, "a session cannot be repaired yet; the host is asked again");
      repair.isAsked = false;
      return;
    }
    logger.warn({ session, error, givenUp: isDoubtful }, "a session could not be repaired after a change of the host");
    if (isDoubtful) {
      leases.drop(session);
      this.#refuse(session, new HoldfastError("SESSION_LOST", { session }));
      this.#tools.close(session);
    } else {
      // Nothing that the session knows is wrong; at worst it runs something in vain.
      this.#release(session);
    }
  }

  #release(session: string): void {
    this.#repairs.delete(session);
    const { calls } = this.#tools;
    for (const call of this.#heldBack(session)) this.#tools.send(calls.moveToEnd(call));
  }

  #refuse(session: string, error: HoldfastError): void {
    this.#repairs.delete(session);
    for (const { id } of this.#heldBack(session)) this.#tools.calls.take(id)?.settle?.reject(error);
  }

  #heldBack(session: string): readonly PendingCall[] {
    return [...this.#tools.calls.all()].filter((call) => call.claimsFor === session);
  }
}

/** Leaves only the outcomes of a commit, which may be told again. */
function leaveClaimOut(call: PendingCall): void {
  const { claim: _, ...outcomesOnly } = readTail(call.tail).params as CommitParams;
  call.tail = requestTail(call.method, outcomesOnly);
  call.claimsFor = undefined;
}
