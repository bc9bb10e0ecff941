/**
 * Addresses of a Redis: one server, a master that sentinels know, or a cluster.
 *
 * `redis://[USER:PASSWORD@]HOST[:PORT][/DB]`, `redis+sentinel://[…@]HOST[:PORT],HOST[:PORT]/MASTER[/DB]`,
 * `redis+cluster://[…@]HOST[:PORT],HOST[:PORT]`; `rediss…` for TLS; `redis:` for the Redis that the
 * settings name. Names and passwords are percent-encoded where they hold signs of their own.
 */
import type { RedisNode, RedisTarget } from "../broker/redis/link/target.ts";
import { REDIS_BROKER } from "../config/index.ts";

export type RedisMode = RedisTarget["mode"];

/** What an address says; what it leaves out comes from settings. */
export interface RedisPlace {
  readonly mode: RedisMode;
  readonly nodes: readonly RedisNode[];
  readonly tls: boolean;
  readonly masterName?: string;
  readonly db?: number;
  readonly username?: string;
  readonly password?: string;
}

export const DEFAULT_REDIS_PORT = 6_379;
export const DEFAULT_SENTINEL_PORT = 26_379;
const MAX_PORT = 65_535;

/** Scheme, credentials, hosts, path. Whatever stands before the last `@` are credentials, so that a password need not be encoded to be found. */
const ADDRESS = /^(redis|rediss)(?:\+(sentinel|cluster))?:\/\/(?:(.*)@)?([^/?#@]+)(?:\/([^?#@]*))?$/is;
const NODE = /^(?:\[([\da-f:.]+)\]|([\w.-]+))(?::(\d{1,5}))?$/i;

/** Whether a text is meant to be such an address, right or wrong. */
export function isRedisScheme(scheme: string): boolean {
  return /^rediss?(?:\+\w*)?$/.test(scheme);
}

/** Whether it stands for the Redis of the settings. */
export function isRedisOfSettings(text: string): boolean {
  return text.toLowerCase() === REDIS_BROKER || text.toLowerCase() === "redis";
}

/** Undefined for anything that is not an address in full. */
export function parseRedisPlace(text: string): RedisPlace | undefined {
  const [, scheme = "", kind, credentials, hosts = "", path = ""] = ADDRESS.exec(text.trim()) ?? [];
  const mode = (kind?.toLowerCase() ?? "standalone") as RedisMode;
  const nodes = parseNodes(hosts.split(","), mode === "sentinel" ? DEFAULT_SENTINEL_PORT : DEFAULT_REDIS_PORT);
  const within = parsePath(mode, path);
  const login = credentials === undefined ? {} : parseCredentials(credentials);
  if (nodes === undefined || within === undefined || login === undefined) return undefined;
  if (mode === "standalone" && nodes.length > 1) return undefined;
  return { mode, nodes, tls: scheme.toLowerCase() === "rediss", ...within, ...login };
}

/** Undefined when one of them is no host with or without a port. */
export function parseNodes(texts: readonly string[], defaultPort: number): RedisNode[] | undefined {
  const nodes: RedisNode[] = [];
  for (const text of texts) {
    const [found, address, name, port = String(defaultPort)] = NODE.exec(text.trim()) ?? [];
    if (found === undefined || Number(port) < 1 || Number(port) > MAX_PORT) return undefined;
    nodes.push({ host: address ?? name ?? "", port: Number(port) });
  }
  return nodes;
}

function parsePath(mode: RedisMode, path: string): Pick<RedisPlace, "masterName" | "db"> | undefined {
  const parts = path.replace(/\/$/, "").split("/");
  const first = mode === "sentinel" ? parts.shift() : undefined;
  const masterName = first === undefined || first === "" ? undefined : decoded(first);
  if (mode === "sentinel" && masterName === undefined) return undefined;
  const [db = "", ...rest] = parts;
  const isDatabase = db === "" || (mode === "cluster" ? /^0$/ : /^\d{1,5}$/).test(db);
  if (!isDatabase || rest.length > 0) return undefined;
  return { ...(masterName === undefined ? {} : { masterName }), ...(db === "" ? {} : { db: Number(db) }) };
}

/** `USER`, `USER:PASSWORD` or `:PASSWORD`. */
function parseCredentials(text: string): Pick<RedisPlace, "username" | "password"> | undefined {
  const colon = text.includes(":") ? text.indexOf(":") : text.length;
  const username = decoded(text.slice(0, colon));
  const password = decoded(text.slice(colon + 1));
  if (username === undefined || password === undefined) return undefined;
  return { ...(username === "" ? {} : { username }), ...(password === "" ? {} : { password }) };
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined; // a percent sign that stands for nothing: the address is refused
  }
}
