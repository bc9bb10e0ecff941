/**
 * Whether a server is set up so that the broker can keep its promises: what it is, what it forgets,
 * and what it loses when it dies. Pure; for `holdfast doctor` and for every process that opens the
 * broker.
 */
import type { Link } from "../link/link.ts";
import { type Check, figure, ok, problem, warning } from "./check.ts";
import { readServerTexts, type ServerTexts } from "./server-texts.ts";

const LEAST_VERSION = [6, 2] as const;

type Fields = ReadonlyMap<string, string>;

/**
 * What is not as it should be. A `problem` here means that Holdfast must not run on this server.
 *
 * Errors: LinkBroken.
 */
export async function configurationProblems(link: Link): Promise<readonly Check[]> {
  return configurationChecks(await readServerTexts(link)).filter(({ verdict }) => verdict !== "ok");
}

export function configurationChecks({ info, config }: ServerTexts): Check[] {
  if (info === undefined)
    return [
      warning(
        "Configuration",
        "The server does not tell how it is set up: INFO is forbidden.",
        "Allow INFO and CONFIG GET, or see yourself that it is Redis 6.2 or newer, that maxmemory-policy is noeviction, and that appendonly is yes.",
      ),
    ];
  return [versionCheck(info), evictionCheck(info, config), persistenceCheck(info, config)];
}

function versionCheck(info: Fields): Check {
  const isValkey = info.has("valkey_version");
  // A Valkey tells the version of the Redis that it is compatible with, too.
  const version = info.get("redis_version") ?? "0";
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const shown = isValkey ? `Valkey ${info.get("valkey_version")}` : `Redis ${version}`;
  const isNewEnough = major > LEAST_VERSION[0] || (major === LEAST_VERSION[0] && minor >= LEAST_VERSION[1]);
  if (isNewEnough) return ok("Version", `${shown}.`);
  return problem(
    "Version",
    `${shown}; Holdfast needs Redis ${LEAST_VERSION.join(".")} or newer.`,
    "Upgrade the server.",
  );
}

/** A server that evicts takes keys away which nobody will miss until a task is gone. */
function evictionCheck(info: Fields, config: Fields | undefined): Check {
  const policy = config?.get("maxmemory-policy") ?? info.get("maxmemory_policy");
  if (policy === undefined)
    return warning(
      "Eviction",
      "The server does not tell what it does when its memory is full.",
      "See in your provider's console that maxmemory-policy is noeviction; otherwise tasks and results may vanish.",
    );
  if (policy === "noeviction") return ok("Eviction", "noeviction: nothing is dropped when memory is full.");
  const advice = "Set maxmemory-policy to noeviction.";
  if (figure(info, "maxmemory") === 0)
    return warning("Eviction", `maxmemory-policy is ${policy}, without effect while there is no maxmemory.`, advice);
  return problem("Eviction", `maxmemory-policy is ${policy}: tasks and results vanish when memory is full.`, advice);
}

function persistenceCheck(info: Fields, config: Fields | undefined): Check {
  const name = "Persistence";
  const hasFile = info.get("aof_enabled") === "1";
  if (hasFile) return appendOnlyCheck(config?.get("appendfsync"));
  const advice = "Set appendonly to yes.";
  if (config === undefined)
    return warning(
      name,
      "No append-only file, and the server does not tell whether it takes snapshots (CONFIG GET is forbidden). Its death loses what came after the last one.",
      advice,
    );
  const save = config.get("save") ?? "";
  if (save === "") return warning(name, "None: everything is lost when the server ends.", advice);
  return warning(
    name,
    `Snapshots only (save ${save}): the server's death loses everything since the last one.`,
    advice,
  );
}

function appendOnlyCheck(fsync: string | undefined): Check {
  const name = "Persistence";
  switch (fsync) {
    case "always":
      return ok(name, "Append-only file, on the disk before every answer: nothing that was acknowledged is lost.");
    case "everysec":
      return ok(
        name,
        "Append-only file, on the disk once per second: the server's death loses nothing, that of its machine about the last second.",
      );
    case "no":
      return warning(
        name,
        "Append-only file, on the disk when the operating system likes: the death of its machine loses about the last 30 seconds.",
        "Set appendfsync to everysec or always.",
      );
    default:
      return ok(name, "Append-only file; the server does not tell how often it is put on the disk.");
  }
}
