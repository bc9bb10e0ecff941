/**
 * Which session a worker over HTTP has.
 *
 * A worker names itself by its id in every call; its session is a secret of the servers. They keep it
 * in the broker's shared state under a name of their own, so that any server may serve any worker, and
 * remember what they have read. What one remembers may be over (the worker has registered again at
 * another server, or was silent): the broker says so with SESSION_LOST, and it is read again.
 *
 * A crash between opening a session and entering it leaves a session that nobody speaks for; it dies
 * by its silence. An entry of a session that has ended does no harm, and goes with its time.
 */
import * as z from "zod";
import type { Broker, OpenSessionReply, SessionView, WorkerProfile } from "../../broker/contract.ts";
import { RESERVED_PREFIX } from "../../broker/limits.ts";
import { HoldfastError } from "../../errors/index.ts";
import type { Clock } from "../../util/clock.ts";
import { permitPools, permitWorker, type Principal, principalKey } from "../principal.ts";
import { liveSessions } from "./live-sessions.ts";
import { type HttpMeta, httpMetaOf, metaText } from "./worker-view.ts";

const entrySchema = z.object({
  session: z.string(),
  pools: z.array(z.string()),
  slots: z.number(),
  /** Key of whoever registered it (`principalKey`). */
  owner: z.string(),
});

type Entry = z.output<typeof entrySchema>;

export interface KnownWorker extends Readonly<Entry> {
  readonly workerId: string;
  /** Of its entry. */
  readonly version: number;
}

interface Remembered extends KnownWorker {
  /** When its entry is written again, on this server's clock. */
  renewAt: number;
}

export interface Registration extends Omit<WorkerProfile, "meta" | "hosted"> {
  readonly metadata: HttpMeta["metadata"];
}

const KEY_PREFIX = `${RESERVED_PREFIX}http-worker:`;
/** An entry outlives its worker by this much at most: 7 days. */
const ENTRY_TTL_MS = 604_800_000;
const RENEW_AFTER_MS = 86_400_000;
/** Workers remembered; of those beyond, the ones that came first are read again. */
const MAX_REMEMBERED = 100_000;
/** Tries to be the last of those who register under one id at the same time. */
const MAX_TRIES = 10;

export class WorkerDirectory {
  readonly #broker: Broker;
  readonly #clock: Clock;
  readonly #remembered = new Map<string, Remembered>();

  constructor({ broker, clock }: { readonly broker: Broker; readonly clock: Clock }) {
    this.#broker = broker;
    this.#clock = clock;
  }

  /** A worker begins. One that lives under this id has started anew: what it held is lost at once. */
  async register(profile: Registration, principal: Principal): Promise<OpenSessionReply> {
    permitWorker(principal, profile.worker);
    permitPools(principal, profile.pools);
    for (let tried = 1; ; tried += 1) {
      const opened = await this.#tryRegister(profile, principal);
      if (opened !== undefined) return opened;
      if (tried >= MAX_TRIES) {
        const problem = `worker ${profile.worker} registers again and again at the same time`;
        throw new HoldfastError("INTERNAL", { problem });
      }
    }
  }

  /** Undefined when somebody else was registered under the id meanwhile. */
  async #tryRegister(profile: Registration, principal: Principal): Promise<OpenSessionReply | undefined> {
    const { metadata, ...rest } = profile;
    const { worker: workerId, pools, slots } = profile;
    const former = await this.#read(workerId);
    if (former.worker !== undefined) {
      await this.#permitReplacing(principal, former.worker);
      this.#forget(former.worker);
      await this.#broker.closeSession({ session: former.worker.session, reason: "lost" });
    }
    const owner = principalKey(principal);
    const opened = await this.#broker.openSession({ ...rest, hosted: true, meta: metaText({ owner, metadata }) });
    const worker = { workerId, session: opened.session, pools: [...pools], slots, owner };
    try {
      const version = await this.#write(worker, former.version);
      this.#remember({ ...worker, version });
      return opened;
    } catch (thrown) {
      await this.#broker.closeSession({ session: opened.session, reason: "left" });
      if (HoldfastError.is(thrown, "VERSION_CONFLICT")) return undefined;
      throw thrown;
    }
  }

  /**
   * Does something in the worker's session.
   *
   * Errors: WORKER_NOT_FOUND, FORBIDDEN, and those of `action`; its SESSION_LOST is no error of the caller's.
   */
  async act<T>(workerId: string, principal: Principal, action: (worker: KnownWorker) => Promise<T>): Promise<T> {
    permitWorker(principal, workerId);
    const remembered = this.#remembered.get(workerId);
    if (remembered !== undefined) {
      try {
        const done = await this.#actAs(remembered, principal, action);
        this.#renew(remembered);
        return done;
      } catch (thrown) {
        if (!HoldfastError.is(thrown, "SESSION_LOST")) throw thrown;
        this.#forget(remembered);
      }
    }
    const { worker } = await this.#read(workerId);
    if (worker === undefined || worker.session === remembered?.session) throw unknownWorker(workerId);
    try {
      const done = await this.#actAs(worker, principal, action);
      this.#remember(worker);
      return done;
    } catch (thrown) {
      throw HoldfastError.is(thrown, "SESSION_LOST") ? unknownWorker(workerId) : thrown;
    }
  }

  /** A worker goes: what it still holds is handed back. Errors: WORKER_NOT_FOUND, FORBIDDEN. */
  async leave(workerId: string, principal: Principal): Promise<void> {
    await this.act(workerId, principal, async (worker) => {
      const { session, version } = worker;
      // Closing what is over already is no error; speaking for it is.
      await this.#broker.heartbeat({ session, running: 0 });
      await this.#broker.closeSession({ session, reason: "left" });
      await this.#broker.deleteValue({ key: KEY_PREFIX + workerId, ifVersion: version }).catch((thrown: unknown) => {
        if (!HoldfastError.is(thrown, "VERSION_CONFLICT")) throw thrown;
      });
    });
    this.#remembered.delete(workerId);
  }

  #actAs<T>(worker: KnownWorker, principal: Principal, action: (worker: KnownWorker) => Promise<T>): Promise<T> {
    permitOwner(principal, worker);
    permitPools(principal, worker.pools);
    return action(worker);
  }

  #forget(worker: KnownWorker): void {
    if (this.#remembered.get(worker.workerId)?.session === worker.session) this.#remembered.delete(worker.workerId);
  }

  #remember(worker: KnownWorker): void {
    if (this.#remembered.size >= MAX_REMEMBERED) {
      const oldest = this.#remembered.keys().next();
      if (oldest.done !== true) this.#remembered.delete(oldest.value);
    }
    this.#remembered.set(worker.workerId, { ...worker, renewAt: this.#clock.now() + RENEW_AFTER_MS });
  }

  /** `version`: 0 where there is no entry. */
  async #read(workerId: string): Promise<{ readonly worker?: KnownWorker; readonly version: number }> {
    const { value } = await this.#broker.readValue({ key: KEY_PREFIX + workerId });
    if (value === undefined) return { version: 0 };
    const { version } = value;
    const entry = entrySchema.parse(JSON.parse(value.value));
    return { worker: { workerId, ...entry, version }, version };
  }

  /** The entry's version. Errors: VERSION_CONFLICT. */
  async #write(
    { workerId, session, pools, slots, owner }: Omit<KnownWorker, "version">,
    ifVersion: number,
  ): Promise<number> {
    const { version } = await this.#broker.writeValue({
      key: KEY_PREFIX + workerId,
      value: JSON.stringify({ session, pools, slots, owner } satisfies Entry),
      ttlMs: ENTRY_TTL_MS,
      ifVersion,
    });
    return version;
  }

  /** Of a worker that lives long. If it fails, another server has written it: it is read again. */
  #renew(worker: Remembered): void {
    if (this.#clock.now() < worker.renewAt) return;
    worker.renewAt = Infinity;
    this.#write(worker, worker.version).then(
      (version) => this.#remember({ ...worker, version }),
      () => this.#forget(worker),
    );
  }

  /** A worker whose session is over may be replaced by anybody. Errors: FORBIDDEN. */
  async #permitReplacing(principal: Principal, former: KnownWorker): Promise<void> {
    if (mayActFor(principal, former)) return;
    for await (const { session } of liveSessions(this.#broker)) if (session === former.session) throw foreign(former);
  }
}

export function unknownWorker(worker: string): HoldfastError {
  return new HoldfastError("WORKER_NOT_FOUND", { worker });
}

/** A worker's token speaks only for the workers that it registered. */
function mayActFor(principal: Principal, { owner }: Pick<KnownWorker, "owner">): boolean {
  return principal.role !== "worker" || principalKey(principal) === owner;
}

function permitOwner(principal: Principal, worker: Pick<KnownWorker, "workerId" | "owner">): void {
  if (!mayActFor(principal, worker)) throw foreign(worker);
}

function foreign({ workerId }: Pick<KnownWorker, "workerId">): HoldfastError {
  return new HoldfastError("FORBIDDEN", {
    problem: `Worker ${workerId} was registered with another token; only that one may speak for it.`,
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
