/**
 * Calls of this process that wait for their turn at a lock. Whoever frees a lock calls the next in line
 * on a channel of its process, one per shard; so a wait costs no question but the one, now and then, by
 * which its owner keeps the place.
 *
 * A call can be missed: while the link is down, or when the owner's process was not heard to listen.
 * So whoever waits asks again when the link comes up, and at that time in any case.
 */
import type { Clock } from "../../util/clock.ts";
import type { Shard } from "./shard.ts";
import { UNIT } from "./submit-arguments.ts";
import type { Wakes } from "./wakes.ts";

export interface TurnsOptions {
  readonly wakes: readonly Wakes[];
  readonly clock: Clock;
  /** Names this process. */
  readonly newId: () => string;
  /** Aborted when the broker closes. */
  readonly closing: AbortSignal;
}

/** After so many questions whether the server hears us the calls are left to themselves: they ask again anyway. */
const MAX_HEARD_ASKED = 20;

/** One call that waits. */
export class Turn {
  readonly #ear: Ear;
  readonly #clock: Clock;
  readonly #key: string;
  #isCalled = false;
  #isDoubted = false;
  #wake: (() => void) | undefined;

  constructor(ear: Ear, key: string, clock: Clock) {
    this.#ear = ear;
    this.#key = key;
    this.#clock = clock;
    ear.add(key, this);
  }

  /** Where it can be called; empty until the server is known to hear us. */
  get caller(): string {
    return this.#ear.name;
  }

  /** Another call of the same owner waits here. */
  get isShared(): boolean {
    return this.#ear.turns(this.#key) > 1;
  }

  /** Resolves when calls cannot be missed any more. */
  heard(): Promise<void> {
    return this.#ear.heard();
  }

  /** Resolves at a call since the last `next`, or after this time. */
  async next(ms: number): Promise<void> {
    if (!this.#isCalled) {
      await new Promise<void>((resolve) => {
        const cancel = this.#clock.schedule(ms, resolve);
        this.#wake = () => {
          cancel();
          resolve();
        };
      });
      this.#wake = undefined;
    }
    this.#isCalled = false;
  }

  call(): void {
    this.#isCalled = true;
    this.#wake?.();
  }

  /** Who is at the other end of a new connection may have forgotten the place in line. */
  doubt(): void {
    this.#isDoubted = true;
    this.call();
  }

  /** Whether the place was doubted since this was asked last. */
  takeDoubt(): boolean {
    const isDoubted = this.#isDoubted;
    this.#isDoubted = false;
    return isDoubted;
  }

  end(): void {
    this.#ear.remove(this.#key, this);
  }
}

/** Where calls for one shard's locks are heard. */
class Ear {
  readonly #options: TurnsOptions;
  readonly #shard: Shard;
  readonly #turns = new Map<string, Set<Turn>>();
  #name = "";
  #hearing: Promise<void> | undefined;

  constructor(shard: Shard, options: TurnsOptions) {
    this.#shard = shard;
    this.#options = options;
    shard.link.onUp(() => {
      for (const turn of this.#all()) turn.doubt();
    });
    options.closing.addEventListener("abort", () => {
      for (const turn of this.#all()) turn.call();
    });
  }

  get name(): string {
    return this.#name;
  }

  turns(key: string): number {
    return this.#turns.get(key)?.size ?? 0;
  }

  add(key: string, turn: Turn): void {
    const own = this.#turns.get(key);
    if (own === undefined) this.#turns.set(key, new Set([turn]));
    else own.add(turn);
  }

  remove(key: string, turn: Turn): void {
    const own = this.#turns.get(key);
    own?.delete(turn);
    if (own?.size === 0) this.#turns.delete(key);
  }

  heard(): Promise<void> {
    if (this.#hearing === undefined) {
      this.#hearing = this.#listen();
      this.#hearing.catch(() => {
        this.#hearing = undefined;
      });
    }
    return this.#hearing;
  }

  /** Once it listens, it listens until the broker closes: whoever has waited will wait again. */
  async #listen(): Promise<void> {
    const { wakes, newId } = this.#options;
    const name = newId();
    const channel = `${this.#shard.prefix}caller:${name}`;
    const end = (wakes[this.#shard.no] as Wakes).hold(channel, (key) => {
      for (const turn of this.#turns.get(key) ?? []) turn.call();
    });
    try {
      for (let asked = 0; asked < MAX_HEARD_ASKED; asked += 1) {
        const [, listeners] = (await this.#shard.send("PUBSUB", "NUMSUB", channel)) as [string, number];
        if (listeners > 0) break;
      }
    } catch (thrown) {
      end();
      throw thrown;
    }
    this.#name = name;
  }

  #all(): Turn[] {
    return [...this.#turns.values()].flatMap((turns) => [...turns]);
  }
}

export class Turns {
  readonly #ears: readonly Ear[];
  readonly #clock: Clock;

  constructor(shards: readonly Shard[], options: TurnsOptions) {
    this.#ears = shards.map((shard) => new Ear(shard, options));
    this.#clock = options.clock;
  }

  /** To be called before the first question, so that no call is missed after it. `lock` as it is stored. */
  wait(shard: Shard, lock: string, owner: string): Turn {
    return new Turn(this.#ears[shard.no] as Ear, lock + UNIT + owner, this.#clock);
  }
}
