/** A broker for the time of one command. */
import { existsSync } from "node:fs";
import { parseBrokerAddress } from "../app/broker-address.ts";
import { secretsOf } from "../app/display-address.ts";
import { openClient, type OpenedClient } from "../app/open-client.ts";
import type { Settings } from "../config/index.ts";
import { HoldfastError } from "../errors/index.ts";
import { Client } from "../sdk/client.ts";
import { createLogger, type Logger } from "../telemetry/log.ts";
import { type CliContext, settingsOf } from "./context.ts";

export interface OpenedBroker extends OpenedClient {
  readonly client: Client;
}

/** A command that only looks does not wait as long for an owner that hangs as a worker would. */
export const GIVE_UP_AFTER_MS = 10_000;

/**
 * Opens the broker, or the server, that the flags, the environment or the settings file name, and
 * closes it after `action`. For commands that look at work or steer it: a store that is not there is not made.
 *
 * @throws HoldfastError BROKER_UNREACHABLE, those of openBroker, and what `action` throws.
 */
export async function withBroker<T>(
  context: CliContext,
  flags: { readonly broker?: string },
  action: (opened: OpenedBroker) => Promise<T>,
): Promise<T> {
  const settings = settingsOf(context, { broker: flags.broker });
  requireStore(settings.broker);
  const opened = await openClient(settings.broker, {
    settings,
    logger: loggerOf(context, settings),
    giveUpAfterMs: GIVE_UP_AFTER_MS,
  });
  try {
    return await action({ ...opened, client: new Client({ broker: opened.broker }) });
  } finally {
    await opened.broker.close();
  }
}

/** The log of a command goes to standard error, above whatever is redrawn there. */
export function loggerOf(context: CliContext, settings: Settings): Logger {
  const destination = { write: (line: string) => context.err.print(line.trimEnd()) };
  const { logLevel: level, logFormat: format } = settings;
  return createLogger({ level, format, destination, secrets: secretsOf(settings) });
}

function requireStore(address: string): void {
  const parsed = parseBrokerAddress(address);
  if (parsed.kind !== "home" || existsSync(parsed.file)) return;
  throw new HoldfastError("BROKER_UNREACHABLE", {
    url: parsed.file,
    problem: "there is no store yet; `holdfast run FILE` or `holdfast up` makes one",
  });
}
