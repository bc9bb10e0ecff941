/**
 * A Redis server of the bench's own: on loopback, a free port, a folder of its own, stopped and gone
 * at the end. Nobody else's data is near, so the bench may empty it.
 *
 * Snapshots are off and the journal is rewritten between runs only, never within one: a rewrite
 * would hit whichever system happens to be measured then.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { createClient } from "@redis/client";
import { freePort } from "../free-port.ts";
import type { RedisPlace } from "./peer.ts";

/** Whether and when a write is synced to the disk. */
export type Durability = "no" | "everysec" | "always";
export const DURABILITIES: readonly Durability[] = ["no", "everysec", "always"];

const HOST = "127.0.0.1";
const START_LIMIT_MS = 10_000;
const REWRITE_LIMIT_MS = 30_000;
const POLL_MS = 10;

export class RedisServer implements RedisPlace {
  readonly host = HOST;
  readonly port: number;
  readonly #process: ChildProcess;
  readonly #client: ReturnType<typeof clientFor>;
  readonly #hasJournal: boolean;

  private constructor(child: ChildProcess, port: number, hasJournal: boolean) {
    this.#process = child;
    this.port = port;
    this.#client = clientFor({ host: HOST, port });
    this.#hasJournal = hasJournal;
  }

  static async start(durability: Durability, folder: string): Promise<RedisServer> {
    const port = await freePort();
    const journal = durability === "no" ? ["--appendonly", "no"] : ["--appendonly", "yes", "--appendfsync", durability];
    const options = ["--port", String(port), "--bind", HOST, "--dir", folder, "--save", ""];
    const child = spawn("redis-server", [...options, ...journal, "--auto-aof-rewrite-percentage", "0"], {
      stdio: ["ignore", "ignore", "inherit"],
    });
    // However the bench ends, its server does not stay behind.
    process.once("exit", () => child.kill("SIGKILL"));
    const failed = once(child, "error").then(([problem]: unknown[]) => {
      throw new Error("redis-server could not be started; is it installed?", { cause: problem });
    });
    const server = new RedisServer(child, port, durability !== "no");
    await Promise.race([server.#connect(), failed]);
    return server;
  }

  /** Nothing in memory and nothing in the journal, as after the first start. */
  async empty(): Promise<void> {
    await this.#client.sendCommand(["FLUSHALL", "SYNC"]);
    await this.#client.sendCommand(["SCRIPT", "FLUSH", "SYNC"]);
    if (!this.#hasJournal) return;
    await this.#client.sendCommand(["BGREWRITEAOF"]);
    const limitAtMs = performance.now() + REWRITE_LIMIT_MS;
    for (;;) {
      const facts = await this.#info("persistence");
      if (facts.get("aof_rewrite_in_progress") === "0" && facts.get("aof_rewrite_scheduled") === "0") return;
      if (performance.now() > limitAtMs) throw new Error("redis-server does not end the rewrite of its journal.");
      await delay(POLL_MS);
    }
  }

  /** Memory that data takes; buffers of connections and of the journal, which come and go, left out. */
  async dataBytes(): Promise<number> {
    const facts = await this.#info("memory");
    const bytes = (name: string): number => Number(facts.get(name) ?? Number.NaN);
    return bytes("used_memory") - bytes("mem_clients_normal") - bytes("mem_aof_buffer");
  }

  /** Most memory that the server took, so far, MB. */
  async peakMb(): Promise<number> {
    return Math.round(Number((await this.#info("memory")).get("used_memory_peak") ?? Number.NaN) / 2 ** 20);
  }

  /** Processor time of the server so far, microseconds. */
  async processorUs(): Promise<number> {
    const facts = await this.#info("cpu");
    return (Number(facts.get("used_cpu_user")) + Number(facts.get("used_cpu_sys"))) * 1e6;
  }

  async version(): Promise<string> {
    return (await this.#info("server")).get("redis_version") ?? "?";
  }

  async stop(): Promise<void> {
    this.#client.destroy();
    if (this.#process.exitCode !== null) return;
    const ended = once(this.#process, "exit");
    this.#process.kill("SIGKILL");
    await ended;
  }

  async #connect(): Promise<void> {
    // The server takes a moment to listen; the client tries again by itself until then.
    const late = delay(START_LIMIT_MS, undefined, { ref: false }).then(() => {
      throw new Error(`redis-server does not answer after ${START_LIMIT_MS} ms.`);
    });
    await Promise.race([this.#client.connect(), late]);
  }

  async #info(section: string): Promise<Map<string, string>> {
    const text = await this.#client.info(section);
    return new Map(text.split("\r\n").map((line) => line.split(":") as [string, string]));
  }
}

/** A client that keeps trying while the server starts and tells nothing of that. */
export function clientFor({ host, port }: RedisPlace) {
  return createClient({ socket: { host, port, reconnectStrategy: 20 } }).on("error", () => undefined);
}
