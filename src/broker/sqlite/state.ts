/**
 * Shared state on the file: locks, values and checkpoints, as the broker offers them.
 *
 * Changes are operations of the group commit and on the disk before they are answered; reads go to
 * the file directly. Nothing of it is kept in memory but the calls that wait for a lock.
 */
import type * as contract from "../contract.ts";
import { checkState } from "../check-state.ts";
import type { Clock } from "../../util/clock.ts";
import type { Engine } from "./engine.ts";
import { LockWaits } from "./lock-waits.ts";
import * as checkpoints from "./state-checkpoints.ts";
import * as locks from "./state-locks.ts";
import * as values from "./state-values.ts";

export interface SharedStateOptions {
  readonly engine: Engine;
  readonly clock: Clock;
  /** Runs an operation of the group commit that is on the disk before it resolves. */
  readonly change: <T>(run: () => T) => Promise<T>;
}

type AnsweredOrWaiting =
  | { readonly reply: contract.AcquireLockReply; readonly later?: undefined }
  | { readonly reply?: undefined; readonly later: Promise<contract.AcquireLockReply> };

/** The calls answer with a promise that also carries what is wrong with their params. */
export class SharedState {
  readonly waits: LockWaits;
  readonly #engine: Engine;
  readonly #change: SharedStateOptions["change"];

  constructor({ engine, clock, change }: SharedStateOptions) {
    this.#engine = engine;
    this.#change = change;
    this.waits = new LockWaits({ engine, clock, change });
    engine.db.transaction(true, () => locks.reopenLines(engine));
  }

  async acquireLock(params: contract.AcquireLockParams): Promise<contract.AcquireLockReply> {
    checkState("acquireLock", params);
    const now = await this.#change(() => this.#acquireOrWait(params));
    return now.reply ?? now.later;
  }

  #acquireOrWait(params: contract.AcquireLockParams): AnsweredOrWaiting {
    const { grant, joined } = locks.acquireLock(this.#engine, params);
    if (joined || grant !== undefined) this.waits.touch(params.lock);
    if (grant !== undefined) return { reply: { grant, ahead: 0 } };
    if (params.waitMs > 0) return { later: this.waits.wait(params) };
    return { reply: this.waits.withoutGrant(params) };
  }

  async extendLock(params: contract.ExtendLockParams): Promise<contract.LockGrant> {
    checkState("extendLock", params);
    return this.#change(() => {
      const grant = locks.extendLock(this.#engine, params);
      this.waits.touch(params.lock);
      return grant;
    });
  }

  async releaseLock(params: contract.ReleaseLockParams): Promise<{ released: boolean }> {
    checkState("releaseLock", params);
    return this.#change(() => {
      const released = locks.releaseLock(this.#engine, params);
      this.waits.touch(params.lock);
      this.waits.dismiss(params.lock, params.owner);
      return { released };
    });
  }

  readLock(params: { readonly lock: string }): { readonly lock?: contract.LockView } {
    checkState("readLock", params);
    return locks.readLock(this.#engine, params.lock);
  }

  listLocks(params: contract.ListLocksParams): contract.ListLocksReply {
    return locks.listLocks(this.#engine, checkState("listLocks", params));
  }

  async writeValue(params: contract.WriteValueParams): Promise<{ version: number; expiresAt?: number }> {
    checkState("writeValue", params);
    return this.#change(() => values.writeValue(this.#engine, params));
  }

  readValue(params: { readonly key: string }): { readonly value?: contract.ValueView } {
    checkState("readValue", params);
    return values.readValue(this.#engine, params.key);
  }

  async deleteValue(params: contract.DeleteValueParams): Promise<{ deleted: boolean }> {
    checkState("deleteValue", params);
    return this.#change(() => values.deleteValue(this.#engine, params));
  }

  listValues(params: contract.ListValuesParams): contract.ListValuesReply {
    return values.listValues(this.#engine, checkState("listValues", params));
  }

  async saveCheckpoint(params: contract.SaveCheckpointParams): Promise<{ version: number }> {
    checkState("saveCheckpoint", params);
    return this.#change(() => checkpoints.saveCheckpoint(this.#engine, params));
  }

  readCheckpoint(params: contract.ReadCheckpointParams): { readonly checkpoint?: contract.CheckpointView } {
    return checkpoints.readCheckpoint(this.#engine, checkState("readCheckpoint", params));
  }

  listCheckpoints(params: contract.ListCheckpointsParams): {
    readonly checkpoints: readonly contract.CheckpointInfo[];
  } {
    checkState("listCheckpoints", params);
    return checkpoints.listCheckpoints(this.#engine, params.scope);
  }

  async deleteCheckpoints(params: contract.DeleteCheckpointsParams): Promise<{ deleted: number }> {
    checkState("deleteCheckpoints", params);
    return this.#change(() => checkpoints.deleteCheckpoints(this.#engine, params));
  }
}
