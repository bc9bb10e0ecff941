/**
 * From an address and settings to the Redis that is meant.
 *
 * An address says more than settings: they complete what it leaves out. Its credentials are a pair:
 * where it brings a password of its own, none of the settings' names or passwords is added. TLS is on
 * where either asks for it. Settings that name two different servers are refused, because one of them
 * would be ignored in silence.
 */
import { readFileSync } from "node:fs";
import type { RedisTarget } from "../broker/redis/link/target.ts";
import { factsOf, type SettingName, type Settings } from "../config/index.ts";
import { HoldfastError } from "../errors/index.ts";
import { parseBrokerAddress, type RedisBrokerAddress, withoutSecrets } from "./broker-address.ts";
import {
  DEFAULT_REDIS_PORT,
  DEFAULT_SENTINEL_PORT,
  parseNodes,
  parseRedisPlace,
  type RedisPlace,
} from "./redis-address.ts";

const DEFAULT_HOST = "127.0.0.1";

type Login = Pick<RedisTarget, "username" | "password">;

/** The Redis that is the broker of these settings; undefined when it is none. Errors as below, and INVALID_BROKER_URL. */
export function redisOf(settings: Settings): RedisTarget | undefined {
  const parsed = parseBrokerAddress(settings.broker);
  return parsed.kind === "redis" ? redisTarget(parsed, settings) : undefined;
}

/** @throws HoldfastError INVALID_SETTING for settings that contradict each other, and for files that cannot be read. */
export function redisTarget(address: RedisBrokerAddress, settings: Settings): RedisTarget {
  const place = address.place ?? placeOfSettings(settings);
  const { mode, nodes, masterName } = place;
  const db = place.db ?? settings.redisDb;
  if (mode === "cluster" && db !== 0) throw wrong("redisDb", String(db), "0, the only database of a Redis Cluster");
  const tls = tlsOf(place, settings);
  return {
    mode,
    nodes,
    db,
    ...(masterName === undefined ? {} : { masterName }),
    ...loginOf(place, settings),
    ...(mode === "sentinel" ? sentinelLoginOf(settings) : {}),
    ...(tls === undefined ? {} : { tls }),
  };
}

function placeOfSettings(settings: Settings): RedisPlace {
  const { redisUrl, redisHost, redisPort, redisSentinels, redisSentinelMaster, redisClusterNodes } = settings;
  refuseContradictions(settings);
  if (redisUrl !== undefined) {
    const place = parseRedisPlace(redisUrl);
    if (place !== undefined) return place;
    throw wrong("redisUrl", JSON.stringify(withoutSecrets(redisUrl)), "an address such as redis://HOST:6379/0");
  }
  if (redisSentinels !== undefined) {
    if (redisSentinelMaster === undefined)
      throw wrong("redisSentinelMaster", "not set", "the name by which the sentinels know the master");
    const nodes = nodesOf("redisSentinels", redisSentinels, DEFAULT_SENTINEL_PORT);
    return { mode: "sentinel", nodes, masterName: redisSentinelMaster, tls: false };
  }
  if (redisClusterNodes !== undefined)
    return { mode: "cluster", nodes: nodesOf("redisClusterNodes", redisClusterNodes, DEFAULT_REDIS_PORT), tls: false };
  return { mode: "standalone", nodes: [{ host: redisHost ?? DEFAULT_HOST, port: redisPort }], tls: false };
}

/** Platforms set REDIS_URL and REDIS_HOST together; that is fine while both mean the same server. */
function refuseContradictions(settings: Settings): void {
  const named = (["redisUrl", "redisSentinels", "redisClusterNodes", "redisHost"] as const).filter(
    (name) => settings[name] !== undefined,
  );
  const [first, second] = named;
  if (first === undefined || second === undefined) return;
  const [node] = parseRedisPlace(settings.redisUrl ?? "")?.nodes ?? [];
  const isSame =
    named.length === 2 && first === "redisUrl" && second === "redisHost" && node?.host === settings.redisHost;
  if (isSame) return;
  throw wrong(
    second,
    "set as well",
    `one of ${named.map(variableOf).join(" and ")}, because they name different places`,
  );
}

function nodesOf(name: SettingName, texts: readonly string[], defaultPort: number): RedisPlace["nodes"] {
  const nodes = parseNodes(texts, defaultPort);
  if (nodes === undefined) throw wrong(name, texts.join(","), "hosts with ports from 1 to 65535");
  return nodes;
}

function loginOf(place: RedisPlace, { redisUsername, redisPassword }: Settings): Login {
  if (place.password !== undefined) return login(place.username, place.password);
  return login(place.username ?? redisUsername, redisPassword);
}

function login(username: string | undefined, password: string | undefined): Login {
  return { ...(username === undefined ? {} : { username }), ...(password === undefined ? {} : { password }) };
}

function sentinelLoginOf(settings: Settings): Pick<RedisTarget, "sentinelUsername" | "sentinelPassword"> {
  const { redisSentinelUsername: sentinelUsername, redisSentinelPassword: sentinelPassword } = settings;
  return {
    ...(sentinelUsername === undefined ? {} : { sentinelUsername }),
    ...(sentinelPassword === undefined ? {} : { sentinelPassword }),
  };
}

function tlsOf(place: RedisPlace, settings: Settings): RedisTarget["tls"] {
  const { redisTls, redisTlsCa, redisTlsCert, redisTlsKey } = settings;
  const hasFiles = [redisTlsCa, redisTlsCert, redisTlsKey].some((file) => file !== undefined);
  if (redisTls === false && !place.tls && hasFiles)
    throw wrong("redisTls", "no", "yes, because certificate files are named");
  if (!place.tls && redisTls !== true && !hasFiles) return undefined;
  if ((redisTlsCert === undefined) !== (redisTlsKey === undefined))
    throw wrong(
      redisTlsCert === undefined ? "redisTlsCert" : "redisTlsKey",
      "not set",
      "the file that belongs to the other",
    );
  return {
    ...(redisTlsCa === undefined ? {} : { ca: contentOf("redisTlsCa", redisTlsCa) }),
    ...(redisTlsCert === undefined ? {} : { cert: contentOf("redisTlsCert", redisTlsCert) }),
    ...(redisTlsKey === undefined ? {} : { key: contentOf("redisTlsKey", redisTlsKey) }),
  };
}

function contentOf(name: SettingName, file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    throw wrong(name, JSON.stringify(file), `a file that can be read (${reason})`);
  }
}

function wrong(name: SettingName, value: string, expected: string): HoldfastError {
  return new HoldfastError("INVALID_SETTING", { setting: variableOf(name), value, expected });
}

function variableOf(name: SettingName): string {
  return factsOf(name).alsoFrom ?? name;
}
