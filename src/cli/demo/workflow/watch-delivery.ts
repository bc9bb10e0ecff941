/**
 * The deliveries while they run: keeps the book from the broker's events, lets pools grow with their
 * work, kills workers when the moment has come, and ends when every execution has.
 *
 * On a slow machine workers may come after the first deliveries have gone. So until the crisis is over
 * each delivery that ends is followed by another: there is work for it to strike.
 */
import type { Broker, BrokerEvent, PoolView } from "../../../broker/contract.ts";
import { MAX_PAGE } from "../../../broker/limits.ts";
import { isExecutionEnded } from "../../../core/states.ts";
import { HoldfastError } from "../../../errors/index.ts";
import type { Clock } from "../../../util/clock.ts";
import { orAborted } from "../../../util/or-aborted.ts";
import { type Kill, nextVictims, type Recovery, recoveriesOf } from "./crisis.ts";
import type { Crew } from "./crew.ts";
import { DELIVERY, poolOfWorker } from "./delivery.ts";
import type { WorkBook } from "../../work-book.ts";

export interface WatchParams {
  readonly broker: Broker;
  /** The broker's. */
  readonly clock: Clock;
  readonly crew: Crew;
  /** Grows with what `another` submits. */
  readonly executions: readonly string[];
  /** Deliveries that are under way until the crisis is over, and the most in all. */
  readonly atOnce: number;
  readonly most: number;
  /** Submits one more. */
  readonly another: () => Promise<void>;
  readonly book: WorkBook;
  /** Event cursor from before the submits. */
  readonly cursor: number;
  readonly intoTaskMs: number;
  readonly afterTasks: number;
  readonly signal: AbortSignal;
  readonly hooks: WatchHooks;
}

export interface WatchHooks {
  /** After every page of events. */
  readonly onNews: (events: readonly BrokerEvent[]) => void;
  readonly onPools: (pools: readonly PoolView[]) => void;
  readonly onKills: (kills: readonly Kill[]) => void;
  readonly onRecovery: (recovery: Recovery) => void;
}

export interface Watched {
  readonly kills: readonly Kill[];
  readonly recoveries: readonly Recovery[];
  readonly cursor: number;
}

const READ_WAIT_MS = 100;
/** Without any end of a task for this long the run is given up. */
const STALLED_AFTER_MS = 60_000;

/** Errors: EXECUTION_FAILED when nothing moves any more. Throws the signal's reason when interrupted. */
export async function watchDeliveries(params: WatchParams): Promise<Watched> {
  return new Watch(params).untilEnded();
}

class Watch {
  readonly #params: WatchParams;
  readonly #kills: Kill[] = [];
  readonly #told = new Set<string>();
  #moved = { tasks: -1, at: 0 };

  constructor(params: WatchParams) {
    this.#params = params;
  }

  async untilEnded(): Promise<Watched> {
    const { broker, book, crew, signal, hooks } = this.#params;
    let { cursor } = this.#params;
    for (;;) {
      const page = await orAborted(broker.readEvents({ cursor, limit: MAX_PAGE, waitMs: READ_WAIT_MS }), signal);
      cursor = page.cursor;
      for (const event of page.events) book.apply(event);
      hooks.onNews(page.events);
      this.#tellRecoveries();
      await orAborted(this.#keepGoing(), signal);
      if (this.#isOver()) return { kills: this.#kills, recoveries: recoveriesOf(book, this.#kills), cursor };
      // A full page is not the newest: who runs what is known at its end only.
      if (page.events.length < MAX_PAGE) this.#strike();
      const { pools } = await orAborted(broker.listPools(), signal);
      crew.adjust(pools);
      hooks.onPools(pools);
      this.#giveUpWhenStalled();
    }
  }

  #isOver(): boolean {
    return this.#params.executions.every((id) => this.#hasEnded(id));
  }

  #hasEnded(executionId: string): boolean {
    const state = this.#params.book.states.get(executionId);
    return state !== undefined && isExecutionEnded(state);
  }

  async #keepGoing(): Promise<void> {
    const { executions, atOnce, most, another } = this.#params;
    if (this.#kills.some(({ wave }) => wave === "half of all")) return;
    let underWay = executions.filter((id) => !this.#hasEnded(id)).length;
    for (; underWay < atOnce && executions.length < most; underWay += 1) await another();
  }

  #strike(): void {
    const { book, crew, clock, intoTaskMs, afterTasks, hooks } = this.#params;
    const now = clock.now();
    // A process that has only just been started has no session yet, and could take over nothing.
    const present = new Set(book.present());
    const alive = crew.alive().filter((worker) => present.has(worker));
    const { wave, workers } = nextVictims({ book, kills: this.#kills, alive, now, intoTaskMs, afterTasks });
    const kills = workers.flatMap((worker): Kill[] => {
      const held = book
        .running()
        .filter((stretch) => stretch.worker === worker)
        .map(({ executionId, task, from }) => ({ executionId, task, ranForMs: now - from }));
      const at = clock.now();
      const killed = crew.kill(worker);
      if (killed === undefined) return [];
      return [{ wave, pool: poolOfWorker(worker), worker, pid: killed.pid ?? null, at, held }];
    });
    if (kills.length === 0) return;
    this.#kills.push(...kills);
    hooks.onKills(kills);
  }

  #tellRecoveries(): void {
    for (const recovery of recoveriesOf(this.#params.book, this.#kills)) {
      const name = `${recovery.from} ${recovery.executionId}/${recovery.task}`;
      if (recovery.runningAt === undefined || this.#told.has(name)) continue;
      this.#told.add(name);
      this.#params.hooks.onRecovery(recovery);
    }
  }

  #giveUpWhenStalled(): void {
    const { book, clock, executions } = this.#params;
    const now = clock.now();
    if (book.completedTasks !== this.#moved.tasks) this.#moved = { tasks: book.completedTasks, at: now };
    if (now - this.#moved.at < STALLED_AFTER_MS) return;
    throw new HoldfastError("EXECUTION_FAILED", {
      execution: executions.find((id) => book.states.get(id) === "running") ?? "",
      state: "running",
      completed: book.completedTasks,
      total: executions.length * DELIVERY.length,
      failed: 0,
      failure: `nothing was committed for ${STALLED_AFTER_MS / 1_000} s`,
    });
  }
}
