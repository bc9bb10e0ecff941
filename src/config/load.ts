/**
 * Settings, read once at the edge of a process into a complete, frozen object.
 *
 * Later sources win: defaults, then `holdfast.config.json`, then variables by which other programs
 * know the same thing (REDIS_HOST), then HOLDFAST_* variables, then flags. Everything that is wrong
 * is told at once, each with the place it stands in.
 *
 * Where nobody names a broker but somebody names a Redis, that Redis is the broker.
 */
import { readFileSync } from "node:fs";
import path from "node:path";
import { HoldfastError } from "../errors/index.ts";
import { didYouMean } from "./did-you-mean.ts";
import {
  environmentName,
  factsOf,
  flagName,
  REDIS_BROKER,
  SETTING_NAMES,
  type SettingName,
  type Settings,
  settingsSchema,
} from "./schema.ts";

export const SETTINGS_FILE = "holdfast.config.json";

export interface SettingsSources {
  /** What the command line says, by setting name; text or typed. `undefined` counts as not given. */
  readonly flags?: Readonly<Partial<Record<SettingName, unknown>>>;
  /** The environment; only HOLDFAST_* and what settings are also read from is looked at. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Folder in which SETTINGS_FILE is looked for. Absent: no file is read. */
  readonly cwd?: string;
}

interface Given {
  readonly value: unknown;
  /** Where a person finds it: the flag, the variable, or the file and key. */
  readonly place: string;
}

/**
 * Errors: INVALID_SETTING, UNKNOWN_SETTING or INVALID_SETTINGS_FILE when one thing is wrong,
 * INVALID_SETTINGS when several are.
 */
export function loadSettings(sources: SettingsSources): Settings {
  const given = new Map<SettingName, Given>();
  const problems: HoldfastError[] = [];
  if (sources.cwd !== undefined) readSettingsFile(path.join(sources.cwd, SETTINGS_FILE), given, problems);
  readEnvironment(sources.env ?? {}, given, problems);
  for (const [name, value] of Object.entries(sources.flags ?? {})) {
    if (value !== undefined) given.set(name as SettingName, { value, place: flagName(name as SettingName) });
  }
  const settings = parse(given, problems);
  if (problems.length > 0 || settings === undefined) throw asOne(problems);
  return settings;
}

/** The settings of a process that was told nothing. */
export function defaultSettings(): Settings {
  return loadSettings({});
}

function parse(given: ReadonlyMap<SettingName, Given>, problems: HoldfastError[]): Settings | undefined {
  const raw = Object.fromEntries([...given].map(([name, { value }]) => [name, value]));
  const parsed = settingsSchema.safeParse(raw);
  if (parsed.success) {
    const settings =
      given.has("broker") || !namesRedis(parsed.data) ? parsed.data : { ...parsed.data, broker: REDIS_BROKER };
    if (settings.deadAfterMs < 2 * settings.heartbeatMs) {
      const place = given.get("deadAfterMs")?.place ?? given.get("heartbeatMs")?.place ?? "deadAfterMs";
      const expected = `deadAfterMs (${settings.deadAfterMs}) to be at least twice heartbeatMs (${settings.heartbeatMs})`;
      problems.push(new HoldfastError("INVALID_SETTING", { setting: place, value: "too close", expected }));
    }
    return deepFreeze(settings);
  }
  const wrong = new Set(parsed.error.issues.map((issue) => issue.path[0] as SettingName));
  for (const name of wrong) {
    const facts = factsOf(name);
    const entry = given.get(name);
    const value = facts.secret === true ? "[redacted]" : (JSON.stringify(entry?.value) ?? "missing");
    problems.push(
      new HoldfastError("INVALID_SETTING", { setting: entry?.place ?? name, value, expected: facts.expected }),
    );
  }
  return undefined;
}

function namesRedis({ redisUrl, redisHost, redisSentinels, redisClusterNodes }: Settings): boolean {
  return [redisUrl, redisHost, redisSentinels, redisClusterNodes].some((place) => place !== undefined);
}

function readSettingsFile(file: string, given: Map<SettingName, Given>, problems: HoldfastError[]): void {
  const content = readIfPresent(file);
  if (content === undefined) return;
  let parsed: unknown;
  try {
    parsed = JSON.parse(content);
  } catch (thrown) {
    const problem = thrown instanceof Error ? thrown.message : String(thrown);
    problems.push(new HoldfastError("INVALID_SETTINGS_FILE", { file, problem }, { cause: thrown }));
    return;
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) {
    problems.push(new HoldfastError("INVALID_SETTINGS_FILE", { file, problem: "expected an object of settings" }));
    return;
  }
  for (const [key, value] of Object.entries(parsed)) {
    if (key === "$schema") continue;
    if (isSettingName(key)) given.set(key, { value, place: `${key} in ${file}` });
    else problems.push(unknownSetting(`${key} in ${file}`, didYouMean(key, SETTING_NAMES)));
  }
}

function readEnvironment(
  env: Readonly<Record<string, string | undefined>>,
  given: Map<SettingName, Given>,
  problems: HoldfastError[],
): void {
  for (const name of SETTING_NAMES) {
    const place = factsOf(name).alsoFrom;
    const value = place === undefined ? undefined : env[place];
    if (place !== undefined && value !== undefined && isMeantForUs(value)) given.set(name, { value, place });
  }
  const byVariable = new Map(SETTING_NAMES.map((name) => [environmentName(name), name]));
  for (const [variable, value] of Object.entries(env)) {
    if (!variable.startsWith("HOLDFAST_") || value === undefined) continue;
    const name = byVariable.get(variable);
    if (name === undefined) problems.push(unknownSetting(variable, didYouMean(variable, [...byVariable.keys()])));
    else given.set(name, { value, place: variable });
  }
}

/** Shared variables are often set to nothing; and Kubernetes makes some (REDIS_PORT=tcp://…) from the names of services. */
function isMeantForUs(value: string): boolean {
  return value !== "" && !value.startsWith("tcp://");
}

function readIfPresent(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    const problem = thrown instanceof Error ? thrown.message : String(thrown);
    throw new HoldfastError("INVALID_SETTINGS_FILE", { file, problem }, { cause: thrown });
  }
}

function isSettingName(key: string): key is SettingName {
  return (SETTING_NAMES as readonly string[]).includes(key);
}

function unknownSetting(setting: string, suggestion: string): HoldfastError {
  return new HoldfastError("UNKNOWN_SETTING", { setting, suggestion });
}

function asOne(problems: readonly HoldfastError[]): HoldfastError {
  const [first] = problems;
  if (first !== undefined && problems.length === 1) return first;
  const list = problems.map((problem) => `\n  ${problem.message}`).join("");
  return new HoldfastError("INVALID_SETTINGS", { count: problems.length, problems: list });
}

function deepFreeze(settings: Settings): Settings {
  for (const value of Object.values(settings)) if (Array.isArray(value)) Object.freeze(value);
  return Object.freeze(settings);
}
