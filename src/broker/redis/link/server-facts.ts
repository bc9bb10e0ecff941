/** What a server says about itself when we come in. */
import type { Clock } from "../../../util/clock.ts";
import type { Connection, Reply } from "./connection.ts";
import { RedisRefusal } from "./link-errors.ts";

export interface ServerFacts {
  /** `7.0.15`; of a Valkey server its own version. */
  readonly version: string;
  readonly flavour: "redis" | "valkey";
  /** Another one after every start of the server process. */
  readonly runId: string;
  /** When the server process started, about; on our clock, milliseconds since 1970. */
  readonly startedAt: number;
  /** Commands that newer servers have; asked for, never guessed from the version. */
  readonly hasXackdel: boolean;
  /** Functions (FCALL), beside scripts. */
  readonly hasFunctions: boolean;
  /** It writes an append-only file. Undefined: it does not say. */
  readonly appendonly: boolean | undefined;
}

export interface Greeting {
  readonly facts: ServerFacts;
  readonly mode: "standalone" | "sentinel" | "cluster";
  readonly role: "master" | "replica";
  /** It reads its data from the disk and cannot serve yet. */
  readonly loading: boolean;
}

/**
 * Asks what `Greeting` holds. All of these commands are answered while the server loads its data.
 * The user needs no right beyond +hello +info, and +command to have newer commands used.
 */
export async function greet(connection: Connection, clock: Clock): Promise<Greeting> {
  const [helloReply, serverReply, persistenceReply, hasXackdel, hasFunctions] = await Promise.all([
    connection.send(["HELLO", "2"]),
    connection.send(["INFO", "server"]),
    connection.send(["INFO", "persistence"]),
    hasCommand(connection, "XACKDEL"),
    hasCommand(connection, "FCALL"),
  ]);
  const hello = pairs(helloReply);
  const server = infoFields(serverReply);
  const persistence = infoFields(persistenceReply);
  const flavour = [hello.get("server"), server.get("server_name")].includes("valkey") ? "valkey" : "redis";
  const version = server.get(flavour === "valkey" ? "valkey_version" : "redis_version") ?? hello.get("version") ?? "";
  const aofEnabled = persistence.get("aof_enabled");
  return {
    facts: {
      version,
      flavour,
      runId: server.get("run_id") ?? "",
      startedAt: clock.now() - Number(server.get("uptime_in_seconds") ?? 0) * 1_000,
      hasXackdel,
      hasFunctions,
      appendonly: aofEnabled === undefined ? undefined : aofEnabled === "1",
    },
    mode: modeOf(hello.get("mode")),
    role: hello.get("role") === "master" ? "master" : "replica",
    loading: persistence.get("loading") === "1",
  };
}

async function hasCommand(connection: Connection, name: string): Promise<boolean> {
  try {
    const reply = await connection.send(["COMMAND", "INFO", name]);
    return Array.isArray(reply) && Array.isArray(reply[0]);
  } catch (thrown) {
    if (thrown instanceof RedisRefusal) return false;
    throw thrown;
  }
}

function modeOf(text: string | undefined): Greeting["mode"] {
  return text === "cluster" || text === "sentinel" ? text : "standalone";
}

/** `[name, value, name, value…]`; values that are no text or number are left out. */
function pairs(reply: Reply): Map<string, string> {
  const found = new Map<string, string>();
  if (!Array.isArray(reply)) return found;
  for (let index = 0; index + 1 < reply.length; index += 2) {
    const value = reply[index + 1];
    if (typeof value === "string" || typeof value === "number") found.set(String(reply[index]), String(value));
  }
  return found;
}

/** Lines of `name:value`. */
function infoFields(reply: Reply): Map<string, string> {
  const found = new Map<string, string>();
  for (const line of String(reply).split("\r\n")) {
    const colon = line.indexOf(":");
    if (colon > 0) found.set(line.slice(0, colon), line.slice(colon + 1));
  }
  return found;
}
