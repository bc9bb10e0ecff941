/**
 * `connect`: from an address to a client.
 */
import type { Settings } from "../config/index.ts";
import { HoldfastError } from "../errors/index.ts";
import { Client } from "../sdk/client.ts";
import type { Logger } from "../telemetry/log.ts";
import { silentLogger } from "../telemetry/log.ts";
import { openClient } from "./open-client.ts";
import { processSettings } from "./settings.ts";

export interface ConnectOptions {
  /** Token for a server. Default: HOLDFAST_TOKEN. */
  readonly token?: string;
  /** Where the connection's own log goes. Default: nowhere. */
  readonly logger?: Logger;
}

/** How the supervisor of a runner marks its process. */
const RUNNER_ARGUMENT = "holdfast-runner";

/** See `connect` of the package's entry. */
export async function connect(address?: string, options: ConnectOptions = {}): Promise<Client> {
  refuseRunner();
  const settings = withToken(processSettings(), options.token);
  const { broker } = await openClient(address ?? settings.broker, { settings, logger: options.logger ?? silentLogger });
  return new Client({ broker });
}

function withToken(settings: Settings, token: string | undefined): Settings {
  return token === undefined ? settings : { ...settings, token };
}

/**
 * A worker imports the modules of tasks. One that also submits would submit again with every
 * import, and wait for itself.
 */
function refuseRunner(): void {
  if (process.argv[2] !== RUNNER_ARGUMENT) return;
  throw new HoldfastError("MODULE_NOT_LOADED", {
    module: "A task's module",
    problem:
      "it calls connect() while a worker imports it; move its tasks to a module of their own, and submit from another",
  });
}
