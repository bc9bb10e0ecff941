/**
 * Calls that wait for the end of an execution. One channel per shard tells every end, with the
 * execution's id; so a client that waits for hundreds at the same time has one subscription, and looks
 * at an execution again when it has ended, not at each of its steps.
 *
 * A message can be missed (see wakes.ts): whoever waits looks again every `LOOK_AGAIN_MS` in any case.
 */
import { isExecutionEnded } from "../../core/states.ts";
import type { Clock } from "../../util/clock.ts";
import type { ExecutionView } from "../contract.ts";
import type { Shard } from "./shard.ts";
import type { Wakes } from "./wakes.ts";

const LOOK_AGAIN_MS = 1_000;

export interface EndWait {
  readonly shard: Shard;
  readonly executionId: string;
  readonly waitMs: number;
  readonly look: () => Promise<ExecutionView>;
}

export class Ends {
  readonly #wakes: readonly Wakes[];
  readonly #clock: Clock;
  readonly #closing: AbortSignal;
  readonly #waiting = new Map<string, Set<() => void>>();
  /** By shard. */
  readonly #held = new Map<number, { waiters: number; readonly release: (() => void) | undefined }>();

  constructor(parts: { readonly wakes: readonly Wakes[]; readonly clock: Clock; readonly closing: AbortSignal }) {
    this.#wakes = parts.wakes;
    this.#clock = parts.clock;
    this.#closing = parts.closing;
  }

  /** The execution when it has ended, or as it is when the time is over. */
  async wait({ shard, executionId, waitMs, look }: EndWait): Promise<ExecutionView> {
    const until = this.#clock.now() + waitMs;
    const release = this.#hear(shard);
    try {
      for (;;) {
        // Before the look: an end between the two must not be missed.
        const told = this.#next(executionId, Math.min(LOOK_AGAIN_MS, until - this.#clock.now()));
        const view = await look();
        if (isExecutionEnded(view.state) || this.#clock.now() >= until || this.#closing.aborted) {
          told.cancel();
          return view;
        }
        await told.promise;
      }
    } finally {
      release();
    }
  }

  /** One subscription for all who wait in a shard. */
  #hear({ no, prefix }: Shard): () => void {
    const held = this.#held.get(no) ?? { waiters: 0, release: this.#wakes[no]?.hold(`${prefix}ends`, this.#onEnd) };
    this.#held.set(no, held);
    held.waiters += 1;
    return () => {
      held.waiters -= 1;
      if (held.waiters > 0) return;
      this.#held.delete(no);
      held.release?.();
    };
  }

  readonly #onEnd = (executionId: string): void => {
    for (const tell of this.#waiting.get(executionId) ?? []) tell();
  };

  /** Resolves when the execution's end is told, the time is over, or the broker closes. */
  #next(executionId: string, waitMs: number): { readonly promise: Promise<void>; readonly cancel: () => void } {
    const { promise, resolve } = Promise.withResolvers<void>();
    const waiters = this.#waiting.get(executionId) ?? new Set();
    this.#waiting.set(executionId, waiters);
    const end = (): void => {
      waiters.delete(end);
      if (waiters.size === 0 && this.#waiting.get(executionId) === waiters) this.#waiting.delete(executionId);
      cancelTimer();
      this.#closing.removeEventListener("abort", end);
      resolve();
    };
    const cancelTimer = this.#clock.schedule(Math.max(0, waitMs), end);
    waiters.add(end);
    this.#closing.addEventListener("abort", end, { once: true });
    return { promise, cancel: end };
  }
}
