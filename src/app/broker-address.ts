/**
 * What a person may write as the address of a broker, and what it stands for.
 */
import path from "node:path";
import { HoldfastError } from "../errors/index.ts";
import { isRedisOfSettings, isRedisScheme, parseRedisPlace, type RedisPlace } from "./redis-address.ts";

/** A database file and the note beside it in which its owner says how to be reached. */
export interface BrokerHome {
  readonly kind: "home";
  readonly file: string;
  readonly ownerFile: string;
}

export interface RedisBrokerAddress {
  readonly kind: "redis";
  /** Absent: settings say where it is. */
  readonly place?: RedisPlace;
}

/** One server of Holdfast, or several on one store, of which any will do. */
export interface ServerAddress {
  readonly kind: "server";
  /** `http` addresses are for programs and people, who are answered over HTTP; workers open a WebSocket there. */
  readonly urls: readonly [string, ...string[]];
}

export type BrokerAddress = BrokerHome | RedisBrokerAddress | ServerAddress;

export const DEFAULT_BROKER_FOLDER = ".holdfast";
const DATABASE_NAME = "holdfast.db";
const OWNER_NAME = "owner.json";
const SERVER_SCHEMES: ReadonlySet<string> = new Set(["http", "https", "ws", "wss"]);

/**
 * Reads an address: `http://host:port`, `https://…`, `ws://…` or `wss://…` of a server (several with
 * commas between them), `sqlite:FILE`, a Redis (redis-address.ts), or the path of a folder. A folder
 * that is named `redis` is written `./redis`.
 *
 * @throws HoldfastError INVALID_BROKER_URL for any other scheme and for an address that is cut off.
 * @example parseBrokerAddress(".holdfast") // { kind: "home", file: "/…/.holdfast/holdfast.db", … }
 */
export function parseBrokerAddress(address: string): BrokerAddress {
  const text = address.trim();
  // One letter before the colon is a drive, not a scheme.
  const scheme = /^([a-z][a-z0-9+.-]+):/i.exec(text)?.[1]?.toLowerCase();
  if (scheme !== undefined && SERVER_SCHEMES.has(scheme)) return serverAddress(text, scheme) ?? refused(address);
  if (isRedisOfSettings(text)) return { kind: "redis" };
  if (scheme !== undefined && isRedisScheme(scheme)) {
    const place = parseRedisPlace(text);
    if (place === undefined) throw refuse(address);
    return { kind: "redis", place };
  }
  if (scheme === "sqlite") {
    const file = text.slice("sqlite:".length);
    if (file === "" || file.startsWith("//")) throw refuse(address);
    return fileHome(file);
  }
  if (scheme !== undefined || text === "") throw refuse(address);
  return folderHome(text);
}

/** Entries after the first may leave the scheme out. */
function serverAddress(text: string, scheme: string): ServerAddress | undefined {
  const [first, ...others] = text.split(",").map((entry) => entry.trim());
  if (first === undefined) return undefined;
  const urls = [first, ...others.map((entry) => (entry.includes("://") ? entry : `${scheme}://${entry}`))] as const;
  const isFit = (url: string): boolean =>
    URL.canParse(url) && new URL(url).hostname !== "" && SERVER_SCHEMES.has(new URL(url).protocol.slice(0, -1));
  return urls.every(isFit) ? { kind: "server", urls: [...urls] } : undefined;
}

export function folderHome(folder: string): BrokerHome {
  const dir = path.resolve(folder);
  return { kind: "home", file: path.join(dir, DATABASE_NAME), ownerFile: path.join(dir, OWNER_NAME) };
}

function fileHome(file: string): BrokerHome {
  const resolved = path.resolve(file);
  // Two databases may lie in one folder, so each has a note of its own.
  return { kind: "home", file: resolved, ownerFile: `${resolved}.${OWNER_NAME}` };
}

function refused(address: string): never {
  throw refuse(address);
}

function refuse(address: string): HoldfastError {
  return new HoldfastError("INVALID_BROKER_URL", { url: JSON.stringify(withoutSecrets(address)) });
}

/** An address as it may be shown. A mistyped one may carry a password, too, at any place before its last `@`; a file's name is none. */
export function withoutSecrets(address: string): string {
  return address
    .replace(/^(\s*(?!sqlite:)[a-z][a-z0-9+.-]+:\/*).*@/is, "$1***@")
    .replace(/([?&](?:token|password)=)[^&\s]+/gi, "$1***");
}
