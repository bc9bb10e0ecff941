/**
 * Calls that wait for a lock.
 *
 * A call begins to wait inside the transaction that put its owner in line. Whoever changes a lock
 * notes it (`touch`); at the end of the transaction the lock goes to the first in line, and its call
 * is answered after the commit. Where only time will free a lock or a place (a holder's time to
 * live, the patience with somebody who went away), one timer wakes the broker. So a call that waits
 * costs nothing until its lock changes.
 *
 * After a rollback the calls that began to wait are forgotten, for their operations run again. A
 * crash cuts the calls off; places in line are in the file (state-locks.ts).
 */
import type { Clock } from "../../util/clock.ts";
import type { AcquireLockParams, AcquireLockReply, ReleaseLockParams } from "../contract.ts";
import type { Engine } from "./engine.ts";
import { grantLock, type Line, lockState, readLine, withoutGrant } from "./state-locks.ts";
import { nameBytes } from "./state-names.ts";

/** Pause after a wake-up that the store refused. */
const WAKE_AGAIN_MS = 500;

interface WaitingCall {
  readonly params: AcquireLockParams;
  readonly resolve: (reply: AcquireLockReply) => void;
  readonly reject: (error: unknown) => void;
  readonly cancelTimer: () => void;
}

export interface LockWaitsOptions {
  readonly engine: Engine;
  readonly clock: Clock;
  /** Runs an operation in a durable transaction of its own or of others, `serve` at its end. */
  readonly change: (run: () => void) => Promise<void>;
}

export class LockWaits {
  readonly #options: LockWaitsOptions;
  readonly #calls = new Map<string, Set<WaitingCall>>();
  /** Began to wait in the transaction under way. */
  readonly #fresh = new Set<WaitingCall>();
  /** Locks that the transaction under way has changed. */
  readonly #touched = new Set<string>();
  #answers: (() => void)[] = [];
  /** Lines in which calls wait, so that telling all of a long line their places costs no look at it for each. */
  readonly #lines = new Map<string, Line>();
  /** When time may free a lock or a place that calls wait for. */
  readonly #wakeAt = new Map<string, number>();
  #alarm: { readonly at: number; readonly cancel: () => void } | undefined;

  constructor(options: LockWaitsOptions) {
    this.#options = options;
  }

  /** Call it in a transaction, after the owner has got its place in line. */
  wait(params: AcquireLockParams): Promise<AcquireLockReply> {
    return new Promise((resolve, reject) => {
      const cancelTimer = this.#options.clock.schedule(params.waitMs, () => this.#giveUp(call));
      const call: WaitingCall = { params, resolve, reject, cancelTimer };
      const calls = this.#calls.get(params.lock) ?? new Set();
      this.#calls.set(params.lock, calls.add(call));
      this.#fresh.add(call);
      this.#touched.add(params.lock);
    });
  }

  /** The transaction under way has changed who has the lock or stands in line for it. */
  touch(lock: string): void {
    this.#lines.delete(lock);
    if (this.#calls.has(lock)) this.#touched.add(lock);
  }

  /** The owner gave its place up: what waits for it is answered. */
  dismiss(lock: string, owner: string): void {
    const asked = { lock, owner };
    for (const call of this.#calls.get(lock) ?? [])
      if (call.params.owner === owner) this.#answer(call, () => ({ ...this.withoutGrant(asked), gaveUp: true }));
  }

  /** The end of a transaction: locks that it freed go to those who wait. Answers are held back until `answer`. */
  serve(): void {
    for (const lock of this.#touched) this.#serveLock(lock);
  }

  #serveLock(lock: string): void {
    const { engine } = this.#options;
    const calls = [...(this.#calls.get(lock) ?? [])];
    const { holder, first } = lockState(engine, nameBytes(lock));
    const next = first === undefined ? undefined : calls.findLast((call) => call.params.owner === first.owner);
    const owner = holder?.owner ?? next?.params.owner;
    const grant = holder?.grant ?? (next === undefined ? undefined : grantLock(engine, next.params));
    if (next !== undefined) this.#lines.delete(lock);
    if (grant === undefined) {
      this.#planWake(lock, first?.until);
      return;
    }
    for (const call of calls) if (call.params.owner === owner) this.#answer(call, () => ({ grant, ahead: 0 }));
    this.#planWake(lock, grant.expiresAt);
  }

  #answer(call: WaitingCall, reply: () => AcquireLockReply): void {
    this.#answers.push(() => this.#end(call, reply));
  }

  #planWake(lock: string, at: number | undefined): void {
    this.#answers.push(() => {
      if (at === undefined || !this.#calls.has(lock)) this.#wakeAt.delete(lock);
      else this.#wakeAt.set(lock, at);
    });
  }

  /** After a commit. */
  answer(): void {
    if (this.#answers.length === 0) return;
    const answers = this.#answers;
    this.#answers = [];
    this.#fresh.clear();
    this.#touched.clear();
    for (const tell of answers) tell();
    this.#setAlarm();
  }

  /** After a rollback. */
  forget(): void {
    this.#answers = [];
    this.#touched.clear();
    this.#lines.clear();
    for (const call of this.#fresh) this.#remove(call);
    this.#fresh.clear();
  }

  /** Answers all. */
  close(): void {
    for (const calls of [...this.#calls.values()]) for (const call of [...calls]) this.#giveUp(call);
    this.#alarm?.cancel();
  }

  // ── Time ────────────────────────────────────────────────────────────────────────────────────

  #setAlarm(): void {
    let at = Infinity;
    for (const wakeAt of this.#wakeAt.values()) at = Math.min(at, wakeAt);
    if (at === this.#alarm?.at) return;
    this.#alarm?.cancel();
    this.#alarm = Number.isFinite(at) ? this.#alarmAt(at, at - this.#options.engine.now) : undefined;
  }

  #alarmAt(at: number, delayMs: number): { readonly at: number; readonly cancel: () => void } {
    return { at, cancel: this.#options.clock.schedule(delayMs, () => void this.#wake()) };
  }

  async #wake(): Promise<void> {
    this.#alarm = undefined;
    try {
      await this.#options.change(() => this.#touchDue());
      this.#setAlarm();
    } catch {
      // A store that is full or fails now may have room again later; a closed one has answered all.
      if (this.#calls.size > 0) this.#alarm ??= this.#alarmAt(-Infinity, WAKE_AGAIN_MS);
    }
  }

  #touchDue(): void {
    const { now } = this.#options.engine;
    for (const [lock, at] of this.#wakeAt) if (at <= now) this.touch(lock);
  }

  // ── The end of a wait ───────────────────────────────────────────────────────────────────────

  /** Its place in line stays for a while: `until` was set when the wait began. */
  #giveUp(call: WaitingCall): void {
    this.#end(call, () => this.withoutGrant(call.params));
  }

  #end(call: WaitingCall, reply: () => AcquireLockReply): void {
    if (this.#calls.get(call.params.lock)?.has(call) !== true) return;
    try {
      call.resolve(reply());
    } catch (error) {
      call.reject(error);
    }
    this.#remove(call);
  }

  /** The answer for an owner who does not have the lock now. */
  withoutGrant(asked: ReleaseLockParams): AcquireLockReply {
    const { engine } = this.#options;
    const { lock } = asked;
    let line = this.#lines.get(lock);
    if (line === undefined || line.until <= engine.now) {
      line = readLine(engine, lock);
      if (this.#calls.has(lock)) this.#lines.set(lock, line);
    }
    return withoutGrant(engine, asked, line);
  }

  #remove(call: WaitingCall): void {
    call.cancelTimer();
    const { lock } = call.params;
    const calls = this.#calls.get(lock);
    calls?.delete(call);
    if (calls === undefined || calls.size > 0) return;
    this.#calls.delete(lock);
    this.#wakeAt.delete(lock);
    this.#lines.delete(lock);
  }
}
