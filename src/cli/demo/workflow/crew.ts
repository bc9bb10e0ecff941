/**
 * The demo's workers: processes of four pools, started, added to while their pool's work waits, killed
 * on purpose, and replaced where a pool has fewer than it should.
 *
 * Nobody is told of a kill: that a worker is missed is the broker's own finding.
 */
import { type LocalWorker, type LocalWorkers, startLocalWorkers } from "../../../app/local-workers.ts";
import type { PoolView } from "../../../broker/contract.ts";
import type { Settings } from "../../../config/index.ts";
import type { Logger } from "../../../telemetry/log.ts";
import type { Clock } from "../../../util/clock.ts";
import { DELIVERY_POOLS, type DeliveryPool } from "./delivery.ts";

export interface CrewOptions {
  /** What workers connect to. */
  readonly address: string;
  readonly settings: Settings;
  readonly logFile: string;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly onChange: (change: CrewChange) => void;
}

export interface CrewChange {
  readonly kind: "started" | "killed" | "died";
  readonly pool: string;
  readonly worker: string;
  readonly pid: number | undefined;
  /** Why it was started, or how it ended. */
  readonly why: string;
}

interface Member {
  readonly pool: DeliveryPool;
  readonly group: LocalWorkers;
  readonly worker: LocalWorker;
  isAlive: boolean;
  isKilled: boolean;
}

/** A pool gets another worker at most this often: the last one must have had time to come. */
const GROW_EVERY_MS = 700;

export class Crew {
  readonly #options: CrewOptions;
  readonly #members: Member[] = [];
  readonly #numbers = new Map<string, number>();
  readonly #grownAt = new Map<string, number>();
  #isClosing = false;

  constructor(options: CrewOptions) {
    this.#options = options;
  }

  /** Names of workers whose process lives. */
  alive(pool?: string): readonly string[] {
    return this.#members
      .filter((member) => member.isAlive && (pool === undefined || member.pool.pool === pool))
      .map(({ worker }) => worker.name);
  }

  /** Process ids of those that live. */
  pids(): readonly number[] {
    return this.#members.flatMap(({ isAlive, worker }) => (isAlive && worker.pid !== undefined ? [worker.pid] : []));
  }

  start(pool: DeliveryPool, count: number, why: string): void {
    for (let started = 0; started < count; started += 1) this.#startOne(pool, why);
  }

  /** As many as each pool should have at least, and one more where work waits for which there is room. */
  adjust(views: readonly PoolView[]): void {
    const now = this.#options.clock.now();
    for (const pool of DELIVERY_POOLS) {
      const alive = this.alive(pool.pool).length;
      const queued = views.find((view) => view.pool === pool.pool)?.queued ?? 0;
      if (alive < pool.min) this.start(pool, pool.min - alive, "fewer than the pool's minimum");
      else if (queued > 0 && alive < pool.max && now - (this.#grownAt.get(pool.pool) ?? 0) >= GROW_EVERY_MS) {
        this.#grownAt.set(pool.pool, now);
        this.start(pool, 1, `${queued} tasks wait`);
      }
    }
  }

  /** SIGKILL, of the worker alone: its runner must find out by itself. False when it had ended already. */
  kill(name: string): { readonly pid: number | undefined } | undefined {
    const member = this.#members.find(({ worker, isAlive }) => worker.name === name && isAlive);
    if (member === undefined) return undefined;
    const { pid } = member.worker;
    member.isKilled = true;
    if (!member.worker.kill("SIGKILL")) return undefined;
    member.isAlive = false;
    this.#tell(member, "killed", "SIGKILL");
    return { pid };
  }

  async close(options: { readonly hurry: boolean }): Promise<void> {
    this.#isClosing = true;
    await Promise.all(this.#members.map(({ group }) => group.stop(options.hurry ? { patienceMs: 0 } : {})));
  }

  #startOne(pool: DeliveryPool, why: string): void {
    const { address, settings, logFile, logger, clock } = this.#options;
    const number = (this.#numbers.get(pool.pool) ?? 0) + 1;
    this.#numbers.set(pool.pool, number);
    const group = startLocalWorkers({
      address,
      count: 1,
      settings: { ...settings, pools: [pool.pool] },
      namePrefix: pool.pool,
      firstNumber: number,
      log: { file: logFile },
      logger,
      clock,
      onExit: (worker, { code, signal }) => {
        const member = this.#members.find((one) => one.worker === worker);
        if (member === undefined || member.isKilled || this.#isClosing) return;
        member.isAlive = false;
        this.#tell(member, "died", signal ?? `exit code ${code ?? "unknown"}`);
      },
    });
    const [worker] = group.workers;
    if (worker === undefined) return;
    const member: Member = { pool, group, worker, isAlive: true, isKilled: false };
    this.#members.push(member);
    this.#tell(member, "started", why);
  }

  #tell({ pool, worker }: Member, kind: CrewChange["kind"], why: string): void {
    this.#options.onChange({ kind, pool: pool.pool, worker: worker.name, pid: worker.pid, why });
  }
}
