/**
 * A worker process, from its settings to its exit code.
 *
 * It ends when it is told to (SIGTERM, SIGINT; what runs finishes), when it has been idle for long
 * enough, when the broker is gone for too long, or, tied to a parent, when the parent is gone. A
 * second signal stops what runs and hands it back; a third ends the process there and then.
 *
 * On a broker that no process owns it also runs the coordinator's duties, so that workers which have
 * nothing but a Redis in common repair each other's deaths.
 *
 * Tied to a parent means that its standard input is a pipe which nobody writes to: the operating
 * system closes it however the parent dies. What runs then gets the grace time and no more, because
 * the broker may well have died with the parent.
 */
import { hostname } from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import type { Broker } from "../broker/contract.ts";
import type { Settings } from "../config/index.ts";
import { JOB_POOL } from "../core/handler.ts";
import { HoldfastError } from "../errors/index.ts";
import { onTermination, signalExitCode } from "../lifecycle/termination.ts";
import type { Logger } from "../telemetry/log.ts";
import { type Clock, systemClock } from "../util/clock.ts";
import { Worker, type WorkerEnd } from "../worker/index.ts";
import { openBroker } from "./open-broker.ts";

export interface WorkerProcessOptions {
  /** The broker: a folder or `sqlite:FILE` whose owner is found by its note, `ws://…`, `wss://…`, or a Redis. */
  readonly address: string;
  readonly settings: Settings;
  /** Default: host and process id. */
  readonly name?: string;
  readonly logger: Logger;
  /** Leave when standard input is closed, that is, when the parent is gone. */
  readonly tiedToParent?: boolean;
}

const EXIT_BROKER_LOST = 3;

/**
 * Runs a worker until it has left. Resolves with the exit code: 0 in order, 3 when the broker was
 * lost, otherwise that of the error.
 *
 * @throws HoldfastError INVALID_BROKER_URL, BROKER_UNREACHABLE, UNAUTHORIZED, before it has begun.
 */
export async function startWorkerProcess(options: WorkerProcessOptions): Promise<number> {
  const { address, settings, logger } = options;
  const name = options.name ?? `${hostname()}-${process.pid}`;
  const clock = systemClock({ keepAlive: true });
  const stopEarly = options.tiedToParent === true ? exitWithParent(logger) : undefined;
  const broker = await openBroker(address, { settings, logger, mayOwn: false, coordinate: true });
  stopEarly?.();
  const worker = new Worker({
    broker,
    profile: {
      worker: name,
      pools: poolsOf(settings),
      capabilities: settings.capabilities,
      slots: settings.concurrency,
    },
    settings: {
      prefetch: settings.prefetch,
      idleExitMs: settings.idleExitMs,
      graceMs: settings.graceMs,
      drainMs: settings.drainMs,
      brokerPatienceMs: settings.brokerPatienceMs,
      memoryLimitMb: settings.memoryLimitMb,
      jobsModule: settings.jobs === undefined ? undefined : pathToFileURL(path.resolve(settings.jobs)).href,
    },
    logger: logger.child({ worker: name }),
    clock,
  });
  const stopListening = listenForTheEnd(worker, {
    clock,
    logger,
    graceMs: settings.graceMs,
    tied: options.tiedToParent === true,
  });
  try {
    // What `start` rejects with is also in `ended`.
    await worker.start().catch(() => undefined);
    const end = await worker.ended;
    return exitCodeOf(end, logger);
  } finally {
    stopListening();
    await closeQuietly(broker, logger);
  }
}

/** While nothing runs yet: with a parent that owned the broker it would wait for one that never comes back. */
function exitWithParent(logger: Logger): () => void {
  const onOrphaned = (): void => {
    logger.warn({}, "the process that started this worker is gone; leaving");
    process.exit(EXIT_BROKER_LOST);
  };
  process.stdin.on("error", ignoreBrokenPipe).on("close", onOrphaned).resume();
  return () => process.stdin.off("error", ignoreBrokenPipe).off("close", onOrphaned);
}

interface Endings {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly graceMs: number;
  readonly tied: boolean;
}

function listenForTheEnd(worker: Worker, { clock, logger, graceMs, tied }: Endings): () => void {
  let isStopping = false;
  const stopListening = onTermination({
    onFirst: () => void worker.drain(),
    onSecond: (signal) => {
      if (isStopping) process.exit(signalExitCode(signal));
      isStopping = true;
      void worker.drain();
    },
  });
  if (!tied) return stopListening;

  let cancelTimer = (): void => undefined;
  const onOrphaned = (): void => {
    process.stdin.off("close", onOrphaned);
    logger.warn({}, "the process that started this worker is gone; leaving");
    void worker.drain();
    cancelTimer = clock.schedule(graceMs, () => {
      void worker.drain();
      cancelTimer = clock.schedule(graceMs, () => process.exit(EXIT_BROKER_LOST));
    });
  };
  process.stdin.on("error", ignoreBrokenPipe).on("close", onOrphaned).resume();
  return () => {
    stopListening();
    cancelTimer();
    process.stdin.off("close", onOrphaned).destroy();
  };
}

function ignoreBrokenPipe(): void {
  // Its close follows, and that is what counts.
}

function exitCodeOf(end: WorkerEnd, logger: Logger): number {
  const { reason, completed, failed, error } = end;
  const told = { reason, completed, failed, ...(error === undefined ? {} : { error }) };
  switch (reason) {
    case "drained":
    case "idle":
      logger.info(told, "worker has left");
      return 0;
    case "broker-lost":
      logger.error(told, "worker has lost its broker");
      return EXIT_BROKER_LOST;
    case "failed":
      logger.error(told, "worker has failed");
      return (error ?? new HoldfastError("INTERNAL", { problem: "a worker failed without an error" })).exitCode;
  }
}

async function closeQuietly(broker: Broker, logger: Logger): Promise<void> {
  try {
    await broker.close();
  } catch (thrown) {
    logger.debug({ error: HoldfastError.from(thrown) }, "the connection to the broker did not close in order");
  }
}

/** Whoever brings a module for jobs wants to run jobs. */
function poolsOf({ pools, jobs }: Settings): readonly string[] {
  return jobs === undefined || pools.includes(JOB_POOL) ? pools : [...pools, JOB_POOL];
}
