/**
 * How a server is doing at the moment: memory, disk, replicas, its cluster, its clock and how fast it
 * answers.
 */
import type { Clock } from "../../../util/clock.ts";
import type { Link } from "../link/link.ts";
import { type Check, figure, megabytes, ok, problem, warning } from "./check.ts";
import { allowed, fieldsOf, type ServerTexts } from "./server-texts.ts";

const FULL_WARNING_SHARE = 0.8;
const FULL_PROBLEM_SHARE = 0.95;
/** Of the clocks. Nothing goes wrong by it: the broker goes by Redis's clock alone. */
const CLOCK_WARNING_MS = 1_000;
const PINGS = 100;
const SLOW_MEDIAN_MS = 10;
const SLOW_TAIL_MS = 100;
const ALL_SLOTS = 16_384;

type Fields = ReadonlyMap<string, string>;

/** What a server's own words tell. Pure. */
export function conditionChecks({ info, config }: ServerTexts): Check[] {
  if (info === undefined) return [];
  return [memoryCheck(info), diskCheck(info), replicaCheck(info, config)];
}

function memoryCheck(info: Fields): Check {
  const used = figure(info, "used_memory");
  const limit = figure(info, "maxmemory");
  const total = figure(info, "total_system_memory");
  const room = limit > 0 ? limit : total;
  if (!(room > 0)) return ok("Memory", `${megabytes(used)} used; the server does not tell how much there is.`);
  const share = used / room;
  const of = limit > 0 ? "maxmemory" : "the machine's memory (no maxmemory is set)";
  const found = `${megabytes(used)} used, ${Math.round(share * 100)}% of ${of}, ${megabytes(room)}.`;
  const advice =
    "Give it more memory, shorten retentionMs, or fetch results and let them go; a full server refuses submits.";
  if (share >= FULL_PROBLEM_SHARE) return problem("Memory", found, advice);
  return share >= FULL_WARNING_SHARE ? warning("Memory", found, advice) : ok("Memory", found);
}

function diskCheck(info: Fields): Check {
  const failing = [
    ["aof_last_write_status", "writing the append-only file"],
    ["aof_last_bgrewrite_status", "rewriting the append-only file"],
    ["rdb_last_bgsave_status", "taking a snapshot"],
  ].flatMap(([field = "", what = ""]) => (["ok", undefined].includes(info.get(field)) ? [] : [what]));
  if (failing.length === 0) return ok("Disk", "The last writes went well.");
  return problem("Disk", `The server failed at ${failing.join(" and ")}.`, "Look at its disk and its log.");
}

/** A fail-over to a replica loses what had not reached it: Redis replicates after it has answered. */
function replicaCheck(info: Fields, config: Fields | undefined): Check {
  const replicas = [...info].filter(([name]) => /^slave\d+$/.test(name)).map(([, value]) => value);
  const online = replicas.filter((value) => value.includes("state=online")).length;
  if (replicas.length === 0) return ok("Replicas", "None: what is lost with this server's disk is lost.");
  if (online < replicas.length)
    return warning("Replicas", `${online} of ${replicas.length} are up to date.`, "Look at the others' logs.");
  const required = config?.get("min-replicas-to-write") ?? "0";
  const found = `${online} up to date, min-replicas-to-write ${required}.`;
  return ok("Replicas", `${found} A fail-over can lose the last moment before it.`);
}

/** The state of the cluster as this node sees it; nothing where it is in none. */
export async function clusterChecks(link: Link): Promise<Check[]> {
  const reply = await allowed(link, ["CLUSTER", "INFO"]);
  if (reply === undefined) return [];
  const fields = fieldsOf(reply);
  const [state, served] = [fields.get("cluster_state"), figure(fields, "cluster_slots_ok")];
  const found = `state ${state}, ${served} of ${ALL_SLOTS} slots served, ${fields.get("cluster_known_nodes")} nodes.`;
  if (state === "ok" && served === ALL_SLOTS) return [ok("Cluster", found)];
  return [problem("Cluster", found, "See `redis-cli --cluster check HOST:PORT`; Holdfast waits until it is whole.")];
}

/** The difference is as exact as half the time that the question took. */
export async function clockCheck(link: Link, clock: Clock): Promise<Check> {
  const askedAt = clock.now();
  const [seconds, micros] = (await link.send(["TIME"])) as string[];
  const answeredAt = clock.now();
  const serverMs = Number(seconds) * 1_000 + Number(micros) / 1_000;
  const aheadMs = Math.round(serverMs - (askedAt + answeredAt) / 2);
  const found = `The server's is ${Math.abs(aheadMs)} ms ${aheadMs < 0 ? "behind" : "ahead of"} this machine's.`;
  if (Math.abs(aheadMs) < CLOCK_WARNING_MS) return ok("Clock", found);
  return warning("Clock", found, "Holdfast goes by the server's; let both machines set their clocks by NTP.");
}

export async function latencyCheck(link: Link): Promise<Check> {
  const tookMs: number[] = [];
  for (let ping = 0; ping < PINGS; ping += 1) {
    const askedAt = performance.now();
    await link.send(["PING"]);
    tookMs.push(performance.now() - askedAt);
  }
  tookMs.sort((one, other) => one - other);
  const [median = 0, tail = 0] = [tookMs[PINGS / 2], tookMs[PINGS - 2]];
  const found = `${PINGS} pings: half within ${median.toFixed(2)} ms, 99 within ${tail.toFixed(2)} ms.`;
  if (median < SLOW_MEDIAN_MS && tail < SLOW_TAIL_MS) return ok("Latency", found);
  return warning("Latency", found, "Run workers near the server; see `redis-cli --latency` and its slow log.");
}
