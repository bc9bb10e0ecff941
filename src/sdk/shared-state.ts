/**
 * Locks, values and checkpoints as a user's program sees them: inside a task by its `ctx`, outside by
 * the client. All of it lies in the broker; nothing here survives the process that holds it, and
 * nothing needs to.
 *
 * What a crash does. The holder of a lock dies: its worker releases the lock when the task's process
 * is gone; when the worker is gone too, the lock's time to live runs out. A holder that was stopped
 * for longer than that goes on believing it holds the lock until it runs again: its `signal` is then
 * aborted, and its token is lower than the next holder's, which is what a store that is written to
 * under the lock should look at.
 */
import type { Broker, LockGrant } from "../broker/contract.ts";
import { MAX_CHECKPOINTS_KEPT, MAX_PAGE, MAX_WAIT_MS } from "../broker/limits.ts";
import { HoldfastError } from "../errors/index.ts";
import type { Clock } from "../util/clock.ts";
import { type Duration, parseDurationMs } from "../util/units.ts";

/** The calls of the contract that shared state is made of. */
export const STATE_METHODS = [
  "acquireLock",
  "extendLock",
  "releaseLock",
  "writeValue",
  "readValue",
  "deleteValue",
  "listValues",
  "saveCheckpoint",
  "readCheckpoint",
] as const satisfies readonly (keyof Broker)[];
export type StateMethod = (typeof STATE_METHODS)[number];
export type StateBroker = Pick<Broker, StateMethod>;

const DEFAULT_LOCK_TTL_MS = 30_000;
/** A lock is extended when so much of its time is over. */
const EXTEND_AFTER_SHARE = 1 / 3;
/** Pause after an extension that the broker did not answer well. */
const RETRY_AFTER_SHARE = 1 / 30;
const DEFAULT_VALUE_TTL_MS = 7 * 86_400_000;
const DEFAULT_CHECKPOINTS_KEPT = 5;
const CHECKPOINT_TTL_MS = 7 * 86_400_000;
/** Rounds of `update` before it gives up: somebody else was faster each time. */
const MAX_UPDATE_ROUNDS = 100;

export interface StateOrigin {
  readonly broker: StateBroker;
  readonly clock: Clock;
  /** Names that nobody else makes. */
  readonly newId: () => string;
}

export interface LockOptions {
  /** After this long without a sign of its holder the lock is free again. It is extended by itself meanwhile. Default 30 s. */
  readonly ttl?: Duration;
  /** Stand in line at most this long. Default: until it is had. `0`: take it now or not at all. */
  readonly wait?: Duration;
  /** Ends the wait. */
  readonly signal?: AbortSignal;
  /** For those who inspect the lock. */
  readonly note?: string;
}

/**
 * Takes a lock, in the order in which everybody came.
 *
 * @throws HoldfastError LOCK_TAKEN when it was not had within `wait`.
 */
export async function takeLock(origin: StateOrigin, name: string, options: LockOptions = {}): Promise<HeldLock> {
  const { broker, clock } = origin;
  const owner = origin.newId();
  const ttlMs = parseDurationMs(options.ttl ?? DEFAULT_LOCK_TTL_MS, `ttl of lock ${name}`);
  const patienceMs = options.wait === undefined ? Infinity : parseDurationMs(options.wait, `wait for lock ${name}`);
  const from = clock.now();
  let askedAt = from;
  const ask = async (): Promise<LockGrant | undefined> => {
    askedAt = clock.now();
    const waitMs = Math.max(0, Math.min(patienceMs - (askedAt - from), ASK_MS));
    const { grant } = await broker.acquireLock({
      lock: name,
      owner,
      ttlMs,
      waitMs,
      ...(options.note === undefined ? {} : { note: options.note }),
    });
    return grant;
  };
  try {
    for (;;) {
      options.signal?.throwIfAborted();
      const grant = await ask();
      if (grant !== undefined) {
        options.signal?.throwIfAborted();
        return new HeldLock({ ...origin, name, owner, ttlMs, token: grant.token, heldFrom: askedAt });
      }
      if (clock.now() - from >= patienceMs) throw new HoldfastError("LOCK_TAKEN", { lock: name, waitedMs: patienceMs });
    }
  } catch (thrown) {
    // Neither the place in line nor a lock that came too late may stay behind.
    await broker.releaseLock({ lock: name, owner }).catch(() => undefined);
    throw thrown;
  }
}

/** One question waits this long; between two the place in line is kept. */
const ASK_MS = Math.min(10_000, MAX_WAIT_MS);

interface HeldLockFacts extends StateOrigin {
  readonly name: string;
  readonly owner: string;
  readonly ttlMs: number;
  readonly token: number;
  /** When it was asked for, by our clock: it surely lives `ttlMs` from then. */
  readonly heldFrom: number;
}

/**
 * A lock that is held, and extended until it is released.
 *
 * @example
 * await using lock = await ctx.lock("model-registry");
 * await publish(model, { fence: lock.token });
 */
export class HeldLock implements AsyncDisposable {
  readonly name: string;
  /** The fencing token: whoever gets any lock later has a higher one. */
  readonly token: number;
  readonly #facts: HeldLockFacts;
  readonly #lost = new AbortController();
  #cancelExtension: () => void = () => undefined;
  #cancelLoss: () => void = () => undefined;
  #over = false;

  constructor(facts: HeldLockFacts) {
    this.#facts = facts;
    this.name = facts.name;
    this.token = facts.token;
    this.#holdFrom(facts.heldFrom);
  }

  /** Aborted when the lock is lost: it could not be extended in time, or somebody took it away. */
  get signal(): AbortSignal {
    return this.#lost.signal;
  }

  /** Gives it back, to the next in line. Without effect when it was lost. */
  async release(): Promise<void> {
    if (this.#over) return;
    this.#end();
    await this.#facts.broker.releaseLock({ lock: this.name, owner: this.#facts.owner });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release();
  }

  #end(): void {
    this.#over = true;
    this.#cancelExtension();
    this.#cancelLoss();
  }

  /** It surely lives for its time to live from `askedAt` on, and is extended well before that is over. */
  #holdFrom(askedAt: number): void {
    const { clock, ttlMs } = this.#facts;
    const restMs = Math.max(0, askedAt + ttlMs - clock.now());
    this.#cancelLoss();
    // An answer that does not come must not keep us believing.
    this.#cancelLoss = clock.schedule(restMs, () => this.#lose());
    this.#extendIn(Math.max(0, restMs - ttlMs * (1 - EXTEND_AFTER_SHARE)));
  }

  #extendIn(delayMs: number): void {
    this.#cancelExtension = this.#facts.clock.schedule(delayMs, () => void this.#extend());
  }

  async #extend(): Promise<void> {
    const { broker, clock, owner, ttlMs } = this.#facts;
    const askedAt = clock.now();
    try {
      await broker.extendLock({ lock: this.name, owner, ttlMs });
      if (!this.#over) this.#holdFrom(askedAt);
    } catch (thrown) {
      if (this.#over) return;
      if (HoldfastError.is(thrown, "LOCK_LOST")) this.#lose();
      else this.#extendIn(ttlMs * RETRY_AFTER_SHARE);
    }
  }

  #lose(): void {
    if (this.#over) return;
    this.#end();
    this.#lost.abort(new HoldfastError("LOCK_LOST", { lock: this.name }));
  }
}

export interface SetOptions {
  /** Gone this long after the write; `null`: never. Default 7 days. */
  readonly ttl?: Duration | null;
  /** Only if this is the version that is there; 0: only if there is none. */
  readonly ifVersion?: number;
}

export interface StoredValue<T> {
  readonly value: T;
  /** Ascending with every write. */
  readonly version: number;
}

/**
 * Values that programs and tasks share, by key.
 *
 * @example
 * const { value } = await ctx.state.update<number>("trials", (trials = 0) => trials + 1);
 */
export class SharedState {
  readonly #origin: StateOrigin;

  constructor(origin: StateOrigin) {
    this.#origin = origin;
  }

  /** Undefined when there is none (any more). */
  async get<T = unknown>(key: string): Promise<T | undefined> {
    return (await this.read<T>(key))?.value;
  }

  /** The value with its version, for a later `set` with `ifVersion`. */
  async read<T = unknown>(key: string): Promise<StoredValue<T> | undefined> {
    const { value: found } = await this.#origin.broker.readValue({ key });
    return found === undefined ? undefined : { value: JSON.parse(found.value) as T, version: found.version };
  }

  /** @throws HoldfastError VERSION_CONFLICT, PAYLOAD_TOO_LARGE, STORE_FULL. */
  async set(key: string, value: unknown, options: SetOptions = {}): Promise<{ readonly version: number }> {
    const { ttl = DEFAULT_VALUE_TTL_MS, ifVersion } = options;
    const { version } = await this.#origin.broker.writeValue({
      key,
      value: jsonText(value, `value ${key}`),
      ttlMs: ttl === null ? null : parseDurationMs(ttl, `ttl of value ${key}`),
      writeId: this.#origin.newId(),
      ...(ifVersion === undefined ? {} : { ifVersion }),
    });
    return { version };
  }

  /**
   * Makes a new value of the one that is there (undefined when there is none), so that nobody's write
   * in between is lost: `change` is called again with what they wrote.
   *
   * @throws HoldfastError VERSION_CONFLICT when others were faster a hundred times in a row.
   */
  async update<T>(
    key: string,
    change: (value: T | undefined) => T | Promise<T>,
    options: Omit<SetOptions, "ifVersion"> = {},
  ): Promise<StoredValue<T>> {
    for (let round = 1; ; round += 1) {
      const found = await this.read<T>(key);
      const value = await change(found?.value);
      try {
        const { version } = await this.set(key, value, { ...options, ifVersion: found?.version ?? 0 });
        return { value, version };
      } catch (thrown) {
        if (!HoldfastError.is(thrown, "VERSION_CONFLICT") || round >= MAX_UPDATE_ROUNDS) throw thrown;
      }
    }
  }

  /** False when there was none. @throws HoldfastError VERSION_CONFLICT */
  async delete(key: string, options: Pick<SetOptions, "ifVersion"> = {}): Promise<boolean> {
    const { ifVersion } = options;
    const { deleted } = await this.#origin.broker.deleteValue({
      key,
      ...(ifVersion === undefined ? {} : { ifVersion }),
    });
    return deleted;
  }

  /** All values whose keys start with `prefix`, in the order of their keys. */
  async *list<T = unknown>(prefix = ""): AsyncGenerator<StoredValue<T> & { readonly key: string }, void> {
    let after: string | undefined;
    do {
      const page = await this.#origin.broker.listValues({
        prefix,
        limit: MAX_PAGE,
        ...(after === undefined ? {} : { after }),
      });
      for (const { key, value, version } of page.values) yield { key, value: JSON.parse(value) as T, version };
      after = page.next;
    } while (after !== undefined);
  }
}

export interface CheckpointOptions {
  /** How many of this task are kept, the newest ones. Default 5, at most 100. */
  readonly keep?: number;
  /** For those who list them. */
  readonly label?: string;
}

/** A task's own checkpoints: a later attempt goes on from the newest. */
export class TaskCheckpoints {
  readonly #origin: StateOrigin;
  readonly #scope: string;
  readonly #attempt: number;

  constructor(origin: StateOrigin, task: { readonly scope: string; readonly attempt: number }) {
    this.#origin = origin;
    this.#scope = task.scope;
    this.#attempt = task.attempt;
  }

  /** @throws HoldfastError CHECKPOINT_FENCED when a later attempt has saved, PAYLOAD_TOO_LARGE, STORE_FULL. */
  async save(data: unknown, options: CheckpointOptions = {}): Promise<{ readonly version: number }> {
    return this.#origin.broker.saveCheckpoint({
      scope: this.#scope,
      data: jsonText(data, `checkpoint of ${this.#scope}`),
      fence: this.#attempt,
      keep: Math.min(options.keep ?? DEFAULT_CHECKPOINTS_KEPT, MAX_CHECKPOINTS_KEPT),
      ttlMs: CHECKPOINT_TTL_MS,
      saveId: this.#origin.newId(),
      ...(options.label === undefined ? {} : { label: options.label }),
    });
  }

  async newest<T>(): Promise<T | undefined> {
    const { checkpoint } = await this.#origin.broker.readCheckpoint({ scope: this.#scope });
    return checkpoint === undefined ? undefined : (JSON.parse(checkpoint.data) as T);
  }
}

/** Where a task's checkpoints lie: `EXECUTION/TASK`, or `EXECUTION/TASK/ITEM` for an item of an array. */
export function checkpointScope(task: {
  readonly executionId: string;
  readonly task: number;
  readonly item?: number | undefined;
}): string {
  const { executionId, task: number, item } = task;
  return item === undefined ? `${executionId}/${number}` : `${executionId}/${number}/${item}`;
}

function jsonText(value: unknown, what: string): string {
  const text = JSON.stringify(value) as string | undefined;
  if (text === undefined) throw new HoldfastError("INVALID_INPUT", { path: what, problem: "is not JSON" });
  return text;
}
