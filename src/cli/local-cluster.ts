/**
 * A broker and worker processes on this machine for the time of one command: `run`, `up`, `demo`.
 *
 * Opened from bottom to top (broker, then workers) and closed in reverse, so that workers hand back
 * what they hold while there is still somebody to hand it to.
 */
import path from "node:path";
import { parseBrokerAddress } from "../app/broker-address.ts";
import {
  type LocalWorker,
  type LocalWorkers,
  type LocalWorkersOptions,
  startLocalWorkers,
  type WorkerExit,
} from "../app/local-workers.ts";
import { openClient, type OpenedClient } from "../app/open-client.ts";
import { type Broker, FROM_NOW } from "../broker/contract.ts";
import type { PublicBroker } from "../broker/http/http-broker.ts";
import { MAX_PAGE } from "../broker/limits.ts";
import type { SettingName, Settings } from "../config/index.ts";
import { HoldfastError } from "../errors/index.ts";
import { Client } from "../sdk/client.ts";
import { orAborted } from "../util/or-aborted.ts";
import type { Logger } from "../telemetry/log.ts";
import { type CliContext, settingsOf } from "./context.ts";
import { loggerOf } from "./with-broker.ts";

export interface ClusterWorkers {
  readonly count: number;
  /** Workers are named `PREFIX-1`, `PREFIX-2` … Default: this machine and process. */
  readonly namePrefix?: string;
  /** Start another in place of one that died; and tell the broker of its death, which it would otherwise find out itself. */
  readonly replaceLost: boolean;
  /** Default: a file beside the store. */
  readonly log?: LocalWorkersOptions["log"];
}

export interface LocalCluster {
  readonly settings: Settings;
  readonly logger: Logger;
  readonly broker: PublicBroker;
  /** The broker with the calls of workers, too; absent at the address of a server. */
  readonly store: Broker | undefined;
  readonly client: Client;
  /** Rejects with WORKER_FAILED when no worker is left, or none stays alive. */
  readonly workersGone: Promise<never>;
  startWorkers(workers: ClusterWorkers): void;
  /** Resolves when that many workers of this cluster have a session. */
  workersLive(count: number, signal: AbortSignal): Promise<void>;
  pidOf(worker: string): number | undefined;
  /** SIGKILL for the process of a worker, counted from 0. False when it is not there (just now). */
  killWorker(number: number): boolean;
  /** Stops the workers, then closes the broker. `hurry`: kills workers that have not left at once. */
  close(options?: { readonly hurry?: boolean }): Promise<void>;
}

/** So many deaths per worker within this time mean that workers cannot live here. */
const DEATHS_PER_WORKER = 4;
const DEATHS_WITHIN_MS = 30_000;
const LIVE_READ_WAIT_MS = 1_000;

type Open = (how: { readonly settings: Settings; readonly logger: Logger }) => Promise<OpenedClient>;

/**
 * The broker that the flags, the environment or the settings file name; `open` may open it in
 * another way.
 *
 * @throws HoldfastError those of loadSettings and openBroker.
 */
export async function openLocalCluster(
  context: CliContext,
  flags: Readonly<Partial<Record<SettingName, unknown>>>,
  open: Open = openNamed,
): Promise<LocalCluster> {
  const settings = settingsOf(context, flags);
  const logger = loggerOf(context, settings);
  return new Cluster({ context, settings, logger, opened: await open({ settings, logger }) });
}

function openNamed({
  settings,
  logger,
}: {
  readonly settings: Settings;
  readonly logger: Logger;
}): Promise<OpenedClient> {
  return openClient(settings.broker, { settings, logger, coordinate: true });
}

interface ClusterParts {
  readonly context: CliContext;
  readonly settings: Settings;
  readonly logger: Logger;
  readonly opened: OpenedClient;
}

class Cluster implements LocalCluster {
  readonly settings: Settings;
  readonly logger: Logger;
  readonly broker: PublicBroker;
  readonly store: Broker | undefined;
  readonly client: Client;
  readonly workersGone: Promise<never>;
  readonly #parts: ClusterParts;
  readonly #giveUp: (error: HoldfastError) => void;
  #pool: LocalWorkers | undefined;
  #forget: (() => void) | undefined;
  #deaths: number[] = [];
  /** On purpose: no sign that workers cannot live here. */
  readonly #killed = new Set<LocalWorker>();

  constructor(parts: ClusterParts) {
    const gone = Promise.withResolvers<never>();
    // Whoever waits for work to end listens; a command that does not wait must not die of it.
    gone.promise.catch(ignore);
    this.#parts = parts;
    this.settings = parts.settings;
    this.logger = parts.logger;
    this.broker = parts.opened.broker;
    this.store = parts.opened.store;
    this.client = new Client({ broker: this.broker });
    this.workersGone = gone.promise;
    this.#giveUp = gone.reject;
  }

  startWorkers(workers: ClusterWorkers): void {
    const { settings, logger, context } = this.#parts;
    const pool = startLocalWorkers({
      address: absoluteAddress(settings.broker),
      count: workers.count,
      settings,
      restart: workers.replaceLost,
      log: workers.log ?? workerLog(settings),
      logger,
      clock: context.clock,
      // At the address of a server it is the server that sees the socket close.
      ...(workers.replaceLost && this.store !== undefined ? { broker: this.store } : {}),
      ...(workers.namePrefix === undefined ? {} : { namePrefix: workers.namePrefix }),
      onExit: (worker, exit) => this.#onExit(worker, { exit, count: workers.count }),
    });
    this.#pool = pool;
    this.#forget = context.interrupts.onForced(() => {
      for (const worker of pool.workers) worker.kill("SIGKILL");
    });
    void Promise.all(pool.workers.map(({ exited }) => exited)).then((exits) => {
      const [worker, exit] = [pool.workers.at(-1)?.name ?? "", exits.at(-1)];
      const how = exit === undefined ? "it was never started" : howItEnded(exit);
      this.#giveUp(
        new HoldfastError("WORKER_FAILED", { worker, how: `${how}, and no other is left${this.#logHint()}` }),
      );
    });
  }

  async workersLive(count: number, signal: AbortSignal): Promise<void> {
    let { cursor } = await orAborted(this.broker.readEvents({ cursor: FROM_NOW, limit: 1 }), signal);
    // What is there now is looked at after each change: the past tells of workers that have gone.
    while ((await orAborted(this.#liveWorkers(), signal)) < count) {
      const reading = this.broker.readEvents({ cursor, limit: MAX_PAGE, waitMs: LIVE_READ_WAIT_MS });
      ({ cursor } = await orAborted(Promise.race([reading, this.workersGone]), signal));
    }
  }

  /** Workers of this cluster that have a session. */
  async #liveWorkers(): Promise<number> {
    const names = new Set(this.#pool?.workers.map(({ name }) => name));
    const live = new Set<string>();
    let after: string | undefined;
    do {
      const page = await this.broker.listSessions({
        limit: MAX_PAGE,
        live: true,
        ...(after === undefined ? {} : { after }),
      });
      for (const { worker } of page.sessions) if (names.has(worker)) live.add(worker);
      after = page.next;
    } while (after !== undefined);
    return live.size;
  }

  pidOf(worker: string): number | undefined {
    return this.#pool?.workers.find(({ name }) => name === worker)?.pid;
  }

  killWorker(number: number): boolean {
    const worker = this.#pool?.workers[number];
    const isKilled = worker?.kill("SIGKILL") ?? false;
    if (worker !== undefined && isKilled) this.#killed.add(worker);
    return isKilled;
  }

  async close({ hurry = false }: { readonly hurry?: boolean } = {}): Promise<void> {
    try {
      await this.#pool?.stop(hurry ? { patienceMs: 0 } : {});
      this.#forget?.();
    } finally {
      await this.broker.close();
    }
  }

  #onExit(worker: LocalWorker, { exit, count }: { readonly exit: WorkerExit; readonly count: number }): void {
    // A worker that was idle for as long as its settings say leaves in order.
    if (exit.code === 0 || this.#killed.delete(worker)) return;
    const now = this.#parts.context.clock.now();
    this.#deaths = [...this.#deaths.filter((at) => at > now - DEATHS_WITHIN_MS), now];
    if (this.#deaths.length < DEATHS_PER_WORKER * count) return;
    const how = `${howItEnded(exit)}, as workers did again and again${this.#logHint()}`;
    this.#giveUp(new HoldfastError("WORKER_FAILED", { worker: worker.name, how }));
  }

  #logHint(): string {
    const log = workerLog(this.settings);
    return typeof log === "string" ? "" : `; see ${log.file}`;
  }
}

/** Says the same in every folder, and in a log. */
function absoluteAddress(address: string): string {
  const parsed = parseBrokerAddress(address);
  return parsed.kind === "home" && !address.startsWith("sqlite:") ? path.resolve(address) : address;
}

/** Beside the store, so that their lines do not run through ours; nowhere when the store is elsewhere. */
function workerLog(settings: Settings): NonNullable<LocalWorkersOptions["log"]> {
  const parsed = parseBrokerAddress(settings.broker);
  return parsed.kind === "home" ? { file: path.join(path.dirname(parsed.file), "workers.log") } : "ignore";
}

function howItEnded({ code, signal }: WorkerExit): string {
  return signal === null ? `it exited with code ${code ?? "unknown"}` : `it was killed by ${signal}`;
}

function ignore(): void {
  // Told to those who listen.
}
