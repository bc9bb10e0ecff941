/**
 * Worker processes on this machine, started and watched by this one.
 *
 * Each is a child with a pipe for its standard input that is never written to: when this process
 * dies, however it dies, the pipe closes and the workers leave (worker-main.ts). Each leads a process
 * group of its own, so that a Ctrl-C in the terminal reaches this process alone and it decides what
 * becomes of them.
 *
 * States of one worker: `running` → `exited`, and with `restart` back to `running` after a pause.
 * When one exits unasked, the broker is told at once that its session is lost, so that its tasks run
 * elsewhere without waiting for the session's silence.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { hostname } from "node:os";
import type { Broker } from "../broker/contract.ts";
import { MAX_PAGE } from "../broker/limits.ts";
import { environmentName, type SettingName, type Settings } from "../config/index.ts";
import { HoldfastError } from "../errors/index.ts";
import { type Logger, silentLogger } from "../telemetry/log.ts";
import { type Clock, systemClock } from "../util/clock.ts";
import { siblingModule } from "../util/sibling-module.ts";

export interface LocalWorkersOptions {
  /** What the workers connect to: a folder or `sqlite:FILE` that somebody owns, `ws://…`, `wss://…`, or a Redis. */
  readonly address: string;
  readonly count: number;
  /** Settings of the workers that differ from this process's own: `{ concurrency: 2, token }` … */
  readonly settings?: Partial<Settings>;
  /** Workers are named `PREFIX-1`, `PREFIX-2` … Default: this machine and process. */
  readonly namePrefix?: string;
  /** In place of 1: for more workers beside those of an earlier call. */
  readonly firstNumber?: number;
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Where the workers' logs go: to this process's standard error (the default), nowhere, or to the end of a file. */
  readonly log?: "inherit" | "ignore" | { readonly file: string };
  /** Start a worker again that has exited unasked. Default false. */
  readonly restart?: boolean;
  /** Told at once when a worker has exited unasked. */
  readonly broker?: Broker;
  readonly onExit?: (worker: LocalWorker, exit: WorkerExit) => void;
  readonly logger?: Logger;
  readonly clock?: Clock;
}

export interface WorkerExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface LocalWorker {
  readonly name: string;
  /** Of its present process; undefined when the operating system refused to start one. */
  readonly pid: number | undefined;
  /** Resolves when it has exited for good: unasked and without `restart`, or stopped. */
  readonly exited: Promise<WorkerExit>;
  /** Signals its process: a fault on purpose, which is treated like any other but that it starts again without growing pauses. */
  kill(signal: NodeJS.Signals): boolean;
}

export interface LocalWorkers {
  readonly workers: readonly LocalWorker[];
  /** Lets all finish what they run and leave; kills what has not left after `patienceMs` (default 40 s). Idempotent. */
  stop(options?: { readonly patienceMs?: number }): Promise<void>;
}

/** A little more than a worker's own limit for finishing what it runs. */
const STOP_PATIENCE_MS = 40_000;
const FIRST_RESTART_MS = 250;
const MAX_RESTART_MS = 10_000;
/** A worker that lived this long was a good one: its next restart comes soon. */
const GOOD_LIFE_MS = 30_000;

/**
 * Starts `count` worker processes.
 *
 * @throws HoldfastError INVALID_OPTION when the log file cannot be opened.
 * @example
 * const pool = startLocalWorkers({ address: ".holdfast", count: 3, broker });
 * await pool.stop();
 */
export function startLocalWorkers(options: LocalWorkersOptions): LocalWorkers {
  const prefix = options.namePrefix ?? `${hostname()}-${process.pid}`;
  const clock = options.clock ?? systemClock();
  // Before the first worker is there: a log that cannot be written must not leave half of them running.
  closeLog(openLog(options.log ?? "inherit"));
  const supervised = Array.from(
    { length: options.count },
    (_, at) => new SupervisedWorker(`${prefix}-${at + (options.firstNumber ?? 1)}`, { ...options, clock }),
  );
  return {
    workers: supervised,
    stop: async ({ patienceMs = STOP_PATIENCE_MS } = {}) => {
      await Promise.all(supervised.map((worker) => worker.stop(patienceMs)));
    },
  };
}

class SupervisedWorker implements LocalWorker {
  readonly name: string;
  readonly exited: Promise<WorkerExit>;
  readonly #options: LocalWorkersOptions & { readonly clock: Clock };
  readonly #logger: Logger;
  readonly #resolveExited: (exit: WorkerExit) => void;
  #child: ChildProcess | undefined;
  #isStopping = false;
  #hasExited = false;
  #restarts = 0;
  /** Signalled by us: its end says nothing of whether it can live. */
  #isHit = false;
  #cancelRestart: (() => void) | undefined;

  constructor(name: string, options: LocalWorkersOptions & { readonly clock: Clock }) {
    this.name = name;
    this.#options = options;
    this.#logger = (options.logger ?? silentLogger).child({ worker: name });
    const { promise, resolve } = Promise.withResolvers<WorkerExit>();
    this.exited = promise;
    this.#resolveExited = resolve;
    this.#start();
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  kill(signal: NodeJS.Signals): boolean {
    this.#isHit = true;
    return this.#child?.kill(signal) ?? false;
  }

  async stop(patienceMs: number): Promise<void> {
    this.#isStopping = true;
    if (this.#cancelRestart !== undefined) {
      this.#cancelRestart();
      this.#end({ code: null, signal: null });
    }
    if (this.#hasExited) return;
    this.kill("SIGTERM");
    const cancelKill = this.#options.clock.schedule(patienceMs, () => {
      this.#logger.warn({ patienceMs }, "a worker did not leave in time and is killed");
      this.kill("SIGKILL");
    });
    await this.exited;
    cancelKill();
  }

  #start(): void {
    const startedAt = this.#options.clock.now();
    const child = spawnWorker(this.name, this.#options);
    this.#child = child;
    let isOver = false;
    const onOver = (exit: WorkerExit, problem?: Error): void => {
      if (isOver) return;
      isOver = true;
      if (problem !== undefined) this.#logger.error({ error: problem }, "a worker could not be started");
      this.#onExit({ exit, pid: child.pid, livedMs: this.#options.clock.now() - startedAt });
    };
    child.once("exit", (code, signal) => onOver({ code, signal }));
    child.once("error", (problem) => onOver({ code: null, signal: null }, problem));
    // Its end is told by "exit"; a pipe that breaks says nothing more.
    child.stdin?.on("error", () => undefined);
  }

  #onExit(life: { readonly exit: WorkerExit; readonly pid: number | undefined; readonly livedMs: number }): void {
    const { exit, pid, livedMs } = life;
    // A worker that leaves by itself with code 0 was idle for as long as it should be.
    const isUnasked = !this.#isStopping && exit.code !== 0;
    if (isUnasked) {
      this.#logger.warn({ ...exit, pid }, "a worker has ended unasked");
      if (pid !== undefined) void this.#declareLost(pid);
    }
    if (!this.#isStopping) this.#options.onExit?.(this, exit);
    if (!isUnasked || this.#options.restart !== true) {
      this.#end(exit);
      return;
    }
    this.#restarts = livedMs >= GOOD_LIFE_MS || this.#isHit ? 0 : this.#restarts + 1;
    this.#isHit = false;
    const pauseMs = Math.min(MAX_RESTART_MS, FIRST_RESTART_MS * 2 ** Math.max(0, this.#restarts - 1));
    this.#cancelRestart = this.#options.clock.schedule(pauseMs, () => {
      this.#cancelRestart = undefined;
      this.#start();
    });
  }

  #end(exit: WorkerExit): void {
    this.#hasExited = true;
    this.#resolveExited(exit);
  }

  async #declareLost(pid: number): Promise<void> {
    const { broker } = this.#options;
    if (broker === undefined) return;
    try {
      const { sessions } = await broker.listSessions({ limit: MAX_PAGE });
      const own = sessions.filter(
        ({ worker, pid: ofPid, host, state }) =>
          worker === this.name && ofPid === pid && host === hostname() && (state === "live" || state === "draining"),
      );
      await Promise.all(own.map(({ session }) => broker.closeSession({ session, reason: "lost" })));
    } catch (thrown) {
      // Its session then dies by its socket or by its silence.
      this.#logger.warn({ error: HoldfastError.from(thrown) }, "the broker could not be told of a worker's end");
    }
  }
}

function spawnWorker(name: string, options: LocalWorkersOptions): ChildProcess {
  const log = openLog(options.log ?? "inherit");
  try {
    return spawn(process.execPath, [siblingModule(import.meta.url, "./worker-entry"), name], {
      env: { ...process.env, ...options.env, ...environmentOf({ ...options.settings, broker: options.address }) },
      stdio: ["pipe", log, log],
      detached: process.platform !== "win32",
    });
  } finally {
    closeLog(log);
  }
}

function openLog(log: NonNullable<LocalWorkersOptions["log"]>): "inherit" | "ignore" | number {
  if (typeof log === "string") return log;
  try {
    return openSync(log.file, "a");
  } catch (thrown) {
    const expected = `a file that can be written (${thrown instanceof Error ? thrown.message : String(thrown)})`;
    throw new HoldfastError(
      "INVALID_OPTION",
      { option: "log file of workers", value: log.file, expected },
      { cause: thrown },
    );
  }
}

function closeLog(log: "inherit" | "ignore" | number): void {
  if (typeof log === "number") closeSync(log);
}

function environmentOf(settings: Partial<Settings>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(settings)
      .filter(([, value]) => value !== undefined)
      .map(([setting, value]) => [
        environmentName(setting as SettingName),
        Array.isArray(value) ? value.join(",") : String(value),
      ]),
  );
}
