/** A server before a broker, as settings say: who may come, where lines of the audit log go, TLS. */
import { readFileSync } from "node:fs";
import path from "node:path";
import type { Broker } from "../broker/contract.ts";
import { flagName, type SettingName, type Settings } from "../config/index.ts";
import { HoldfastError } from "../errors/index.ts";
import { AuditFile, type AuditSink, auditToLog } from "../server/access/audit-file.ts";
import { createAccess } from "../server/access/create.ts";
import { type RunningServer, startServer } from "../server/index.ts";
import type { Logger } from "../telemetry/log.ts";
import { type Clock, systemClock } from "../util/clock.ts";
import { parseBrokerAddress } from "./broker-address.ts";
import { newSecret } from "./new-secret.ts";
import { shortId } from "./short-id.ts";

export interface OpenServerOptions {
  /** Stays open when the server ends. */
  readonly broker: Broker;
  readonly settings: Settings;
  readonly logger: Logger;
  /** Of this program. */
  readonly version: string;
  /** Told the very first token, which cannot be told again. */
  readonly onFirstToken: (token: string) => void;
}

export interface OpenedServer extends RunningServer {
  readonly needsToken: boolean;
}

const MEGABYTE = 1_048_576;
const STANDARD_LOG = "-";

/**
 * Listens where the settings say.
 *
 * @throws HoldfastError LISTEN_FAILED, INVALID_SETTING for files that cannot be read, and those of the broker.
 */
export async function openServer(options: OpenServerOptions): Promise<OpenedServer> {
  const { broker, settings, logger, version } = options;
  const clock = systemClock({ keepAlive: true });
  const tls = tlsOf(settings);
  const access = await createAccess({
    store: broker,
    clock,
    logger,
    newId: shortId,
    newSecret,
    audit: auditSink(settings, { clock, logger }),
    listenHost: settings.listenHost,
    requireToken: settings.requireToken,
    token: settings.token,
    workerSecret: settings.workerSecret,
    trustProxy: settings.trustProxy,
    corsOrigins: settings.corsOrigins,
    requestsPerSecond: settings.requestsPerSecond,
    onFirstToken: options.onFirstToken,
  });
  try {
    const server = await startServer({
      parts: { broker, clock, random: Math.random, newId: shortId, logger, version },
      access,
      listen: { host: settings.listenHost, port: settings.listenPort },
      corsOrigins: settings.corsOrigins,
      limits: { maxBodyBytes: settings.maxBodyMb * MEGABYTE },
      socketGraceMs: settings.socketGraceMs,
      ...(tls === undefined ? {} : { tls }),
    });
    const close = async (): Promise<void> => {
      await server.close();
      await access.close();
    };
    return { url: server.url, port: server.port, needsToken: access.needsToken, close };
  } catch (thrown) {
    await access.close();
    throw thrown;
  }
}

/** Beside a store that is a file, unless the settings name another place. */
function auditSink(
  settings: Settings,
  { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
): AuditSink {
  const home = parseBrokerAddress(settings.broker);
  const beside = home.kind === "home" ? path.join(path.dirname(home.file), "audit.jsonl") : STANDARD_LOG;
  const file = settings.auditLog ?? beside;
  if (file === STANDARD_LOG) return auditToLog(logger);
  try {
    return new AuditFile({ file, clock, logger });
  } catch (thrown) {
    throw unusable("auditLog", file, thrown);
  }
}

function tlsOf({ tlsCert, tlsKey }: Settings): { readonly cert: string; readonly key: string } | undefined {
  if (tlsCert === undefined && tlsKey === undefined) return undefined;
  if (tlsCert === undefined || tlsKey === undefined) {
    const missing = tlsCert === undefined ? "tlsCert" : "tlsKey";
    throw new HoldfastError("INVALID_SETTING", {
      setting: flagName(missing),
      value: "missing",
      expected: "a file, since TLS needs both tlsCert and tlsKey",
    });
  }
  return { cert: readText("tlsCert", tlsCert), key: readText("tlsKey", tlsKey) };
}

function readText(setting: SettingName, file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (thrown) {
    throw unusable(setting, file, thrown);
  }
}

function unusable(setting: SettingName, file: string, thrown: unknown): HoldfastError {
  const problem = thrown instanceof Error ? thrown.message : String(thrown);
  const expected = `a file that can be used (${problem})`;
  return new HoldfastError("INVALID_SETTING", { setting, value: JSON.stringify(file), expected }, { cause: thrown });
}
