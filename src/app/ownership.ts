/**
 * Owning a database: the broker on its file, the coordinator that keeps its promises, the server by
 * which other processes use it, and the note that tells them where.
 *
 * Taken in this order, and given back in the reverse one. The file's lock comes first and goes last:
 * everything between happens under it, so that at any moment at most one process serves, leads and
 * writes notes for the file. When a step fails, what was taken before is given back.
 *
 * A crash gives the lock back to the operating system and leaves a stale note. The next owner finds
 * in the file all that was acknowledged, and writes its own note.
 */
import { mkdir } from "node:fs/promises";
import path from "node:path";
import type { Broker } from "../broker/contract.ts";
import { instrument } from "../broker/instrumented.ts";
import type { BrokerAddress } from "../broker/remote/connect.ts";
import { serveBroker } from "../broker/remote/serve-broker.ts";
import { acceptToken } from "../broker/remote/token.ts";
import type { BrokerSettings } from "../broker/settings.ts";
import { openSqliteBroker } from "../broker/sqlite/index.ts";
import { startCoordinator } from "../coordinator/index.ts";
import { HoldfastError } from "../errors/index.ts";
import { ServiceStack } from "../lifecycle/service-stack.ts";
import { type CallMetrics, createCallMetrics } from "../telemetry/metrics.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Clock } from "../util/clock.ts";
import type { BrokerHome } from "./broker-address.ts";
import { newSecret } from "./new-secret.ts";
import { readOwnerNote, removeOwnerNote, writeOwnerNote } from "./owner-file.ts";

export interface OwnershipOptions {
  readonly home: BrokerHome;
  readonly clock: Clock;
  /** 0 ≤ x < 1. */
  readonly random: () => number;
  readonly newId: () => string;
  readonly logger: Logger;
  readonly settings: Partial<BrokerSettings>;
  /** Where to serve other processes. */
  readonly listen: { readonly host: string; readonly port: number };
  /** What they must know. Absent: a random one, told in the note. */
  readonly token?: string | undefined;
  readonly socketGraceMs?: number | undefined;
}

export interface Ownership {
  readonly broker: Broker;
  readonly address: BrokerAddress;
  readonly metrics: CallMetrics;
  /** Gives everything back. Idempotent. */
  release(): Promise<void>;
}

const STOP_TIMEOUT_MS = 10_000;

/**
 * Becomes the owner of the file.
 *
 * @throws HoldfastError BROKER_OWNED, STORE_TOO_NEW, STORE_CORRUPT, STORE_FULL, STORE_FAILED, LISTEN_FAILED.
 */
export async function takeOwnership(options: OwnershipOptions): Promise<Ownership> {
  const { home, clock, logger } = options;
  const stack = new ServiceStack({
    clock,
    stopTimeoutMs: STOP_TIMEOUT_MS,
    onTrouble: (service, error) => logger.warn({ service, error }, "a service did not stop in order"),
  });
  try {
    return await raise(options, stack);
  } catch (thrown) {
    await stack.stop();
    throw HoldfastError.is(thrown, "BROKER_OWNED") ? await ownedBy(home) : thrown;
  }
}

async function raise(options: OwnershipOptions, stack: ServiceStack): Promise<Ownership> {
  const { home, clock, random, newId, logger, settings, listen, socketGraceMs } = options;
  await makeFolder(path.dirname(home.file));
  const store = openSqliteBroker({ file: home.file, clock, random, newId, settings });
  stack.add("store", () => store.close());
  const metrics = createCallMetrics();
  const broker = instrument(store, { logger, metrics, clock });

  const coordinator = startCoordinator({ broker, clock, random, logger, holder: `${process.pid}-${newId()}` });
  stack.add("coordinator", () => coordinator.stop());

  const token = options.token ?? newSecret();
  const served = await serveBroker({
    broker,
    listen,
    access: acceptToken(token),
    clock,
    logger,
    newId,
    ...(socketGraceMs === undefined ? {} : { socketGraceMs }),
  });
  stack.add("server", () => served.close());

  const address: BrokerAddress = { url: reachable(served.url), token };
  await writeOwnerNote(home.ownerFile, { pid: process.pid, ...address, startedAt: clock.now() });
  stack.add("owner note", () => removeOwnerNote(home.ownerFile));
  logger.info({ file: home.file, url: address.url }, "owns the broker's file");
  return { broker, address, metrics, release: () => stack.stop() };
}

async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
  } catch (thrown) {
    const problem = thrown instanceof Error ? thrown.message : String(thrown);
    throw new HoldfastError("STORE_FAILED", { file: folder, problem }, { cause: thrown });
  }
}

/** A server that listens everywhere is reached on this machine by its loopback address. */
function reachable(url: string): string {
  const parsed = new URL(url);
  if (parsed.hostname === "0.0.0.0") parsed.hostname = "127.0.0.1";
  if (parsed.hostname === "[::]") parsed.hostname = "[::1]";
  return parsed.href;
}

/** BROKER_OWNED with the owner's name, as far as it has left one. */
async function ownedBy(home: BrokerHome): Promise<HoldfastError> {
  const note = await readOwnerNote(home.ownerFile);
  const owner = note === undefined ? "" : ` (process ${note.pid}, ${note.url})`;
  return new HoldfastError("BROKER_OWNED", { file: home.file, owner });
}
