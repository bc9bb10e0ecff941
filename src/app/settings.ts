/** From the settings of a process to what its parts are told. */
import type { BrokerSettings } from "../broker/settings.ts";
import { loadSettings, type Settings } from "../config/index.ts";

/** Variables of the command line that are no settings. */
const NO_SETTINGS = new Set(["HOLDFAST_DEBUG"]);

/** Settings of a process that has no command line of its own: defaults, settings file, environment. */
export function processSettings(): Settings {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !NO_SETTINGS.has(name)));
  return loadSettings({ env, cwd: process.cwd() });
}

export function brokerSettings(settings: Settings): BrokerSettings {
  const { heartbeatMs, deadAfterMs, ageingMs, retentionMs, maxQueueDepth, overdueGraceMs, verificationPatienceMs } =
    settings;
  return { heartbeatMs, deadAfterMs, ageingMs, retentionMs, maxQueueDepth, overdueGraceMs, verificationPatienceMs };
}
