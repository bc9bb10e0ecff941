/**
 * Which session a worker over HTTP has.
 *
 * A worker names itself by its id in every call; its session, which is a secret of the servers, is in
 * the broker with that name. So any server may serve any worker: what this one does not know it looks
 * up among the live sessions. What it knows may be over (the worker has registered again at another
 * server, or was silent): the broker says so with SESSION_LOST, and it is looked up again.
 *
 * A look goes through all live sessions. However many unknown workers ask, looks take at most
 * a tenth of the time, and all who ask meanwhile share the next one.
 *
 * A crash of the server loses this book, and the next call of each worker finds its session again.
 */
import type { Broker, SessionView, WorkerProfile } from "../../broker/contract.ts";
import { HoldfastError } from "../../errors/index.ts";
import { type Clock, sleep } from "../../util/clock.ts";
import { permitPools, permitWorker, type Principal, principalKey } from "../principal.ts";
import { isLater, liveSessions } from "./live-sessions.ts";
import { type HttpMeta, httpMetaOf, metaText } from "./worker-view.ts";

export interface KnownWorker {
  readonly workerId: string;
  readonly session: string;
  readonly pools: readonly string[];
  readonly slots: number;
  readonly owner: string;
}

interface Entry extends KnownWorker {
  /** Number of the look that found it, or that was the last one when it registered here. */
  readonly look: number;
}

export interface Registration extends Omit<WorkerProfile, "meta" | "hosted"> {
  readonly metadata: HttpMeta["metadata"];
}

/** After a look that took a time, the next one starts this many times later. */
const REST_FACTOR = 9;
const MIN_REST_MS = 10;
const MAX_REST_MS = 1_000;

export class WorkerDirectory {
  readonly #broker: Broker;
  readonly #clock: Clock;
  readonly #known = new Map<string, Entry>();
  #look = 0;
  #running: Promise<void> | undefined;
  /** The look that begins when the running one has ended. */
  #next: Promise<void> | undefined;
  #restUntil = 0;

  constructor({ broker, clock }: { readonly broker: Broker; readonly clock: Clock }) {
    this.#broker = broker;
    this.#clock = clock;
  }

  /** A worker begins. One that lives under this id has started anew: what it held is lost at once. */
  async register(profile: Registration, principal: Principal): ReturnType<Broker["openSession"]> {
    const { metadata, ...rest } = profile;
    permitWorker(principal, profile.worker);
    permitPools(principal, profile.pools);
    const former = await this.#lookUp(profile.worker);
    if (former !== undefined) {
      permitOwner(principal, former);
      this.forget(former);
      await this.#broker.closeSession({ session: former.session, reason: "lost" });
    }
    const owner = principalKey(principal);
    const opened = await this.#broker.openSession({ ...rest, hosted: true, meta: metaText({ owner, metadata }) });
    const { worker: workerId, pools, slots } = profile;
    this.#known.set(workerId, { workerId, session: opened.session, pools, slots, owner, look: this.#look });
    return opened;
  }

  /**
   * Does something in the worker's session.
   *
   * Errors: WORKER_NOT_FOUND, FORBIDDEN, and those of `action`; its SESSION_LOST is no error of the caller's.
   */
  async act<T>(workerId: string, principal: Principal, action: (worker: KnownWorker) => Promise<T>): Promise<T> {
    permitWorker(principal, workerId);
    const known = this.#known.get(workerId);
    if (known !== undefined) {
      try {
        return await this.#actAs(known, principal, action);
      } catch (thrown) {
        if (!HoldfastError.is(thrown, "SESSION_LOST")) throw thrown;
        this.forget(known);
      }
    }
    const found = await this.#lookUp(workerId);
    if (found === undefined) throw unknownWorker(workerId);
    try {
      return await this.#actAs(found, principal, action);
    } catch (thrown) {
      if (!HoldfastError.is(thrown, "SESSION_LOST")) throw thrown;
      this.forget(found);
      throw unknownWorker(workerId);
    }
  }

  #actAs<T>(worker: KnownWorker, principal: Principal, action: (worker: KnownWorker) => Promise<T>): Promise<T> {
    permitOwner(principal, worker);
    permitPools(principal, worker.pools);
    return action(worker);
  }

  forget(worker: KnownWorker): void {
    if (this.#known.get(worker.workerId)?.session === worker.session) this.#known.delete(worker.workerId);
  }

  /** As of a look that began after the question. */
  async #lookUp(workerId: string): Promise<KnownWorker | undefined> {
    this.#next ??= this.#startNext();
    await this.#next;
    return this.#known.get(workerId);
  }

  async #startNext(): Promise<void> {
    await this.#running?.catch(() => undefined);
    const restMs = this.#restUntil - this.#clock.now();
    if (restMs > 0) await sleep(this.#clock, restMs);
    this.#next = undefined;
    this.#running = this.#lookAtAll();
    await this.#running;
  }

  async #lookAtAll(): Promise<void> {
    const startedAt = this.#clock.now();
    const look = ++this.#look;
    const found = new Map<string, { readonly session: SessionView; readonly meta: HttpMeta }>();
    for await (const session of liveSessions(this.#broker)) {
      const meta = httpMetaOf(session);
      const former = found.get(session.worker)?.session;
      if (meta !== undefined && (former === undefined || isLater(session, former)))
        found.set(session.worker, { session, meta });
    }
    // Whoever registered here since the look began is known better by that.
    for (const [workerId, entry] of this.#known) if (entry.look < look) this.#known.delete(workerId);
    for (const [workerId, { session, meta }] of found) {
      if (this.#known.has(workerId)) continue;
      const { pools, slots } = session;
      this.#known.set(workerId, { workerId, session: session.session, pools, slots, owner: meta.owner, look });
    }
    const tookMs = this.#clock.now() - startedAt;
    const restMs = Math.min(MAX_REST_MS, Math.max(MIN_REST_MS, REST_FACTOR * tookMs));
    this.#restUntil = startedAt + tookMs + restMs;
  }
}

export function unknownWorker(worker: string): HoldfastError {
  return new HoldfastError("WORKER_NOT_FOUND", { worker });
}

/** A worker's token speaks only for the workers that it registered. */
function permitOwner(principal: Principal, worker: Pick<KnownWorker, "workerId" | "owner">): void {
  if (principal.role !== "worker" || principalKey(principal) === worker.owner) return;
  throw new HoldfastError("FORBIDDEN", {
    problem: `Worker ${worker.workerId} was registered with another token; only that one may speak for it.`,
  });
}

/**
 * Whether the principal may ask the session's worker to leave. A worker's token may only where it
 * could speak for it. Errors: FORBIDDEN.
 */
export function permitSession(principal: Principal, session: SessionView): void {
  const { worker, pools } = session;
  permitWorker(principal, worker);
  permitPools(principal, pools);
  permitOwner(principal, { workerId: worker, owner: httpMetaOf(session)?.owner ?? "" });
}
