/**
 * One real Redis process for a test.
 *
 * It has a free port of this machine's loopback, and a folder of its own with its configuration,
 * its log and its data, so that it can be killed and started again on what it left. It dies with
 * the process that started it, however that dies: at the exit it is killed, and a guard shell
 * kills it when that process was itself killed; only then its folder stays behind.
 *
 * What runs is `redis-server` from the path, or the program named by TEST_REDIS_SERVER, which may
 * be another version, or Valkey. Sentinels are the same program.
 */
import { createClient } from "@redis/client";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, rmSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { OrphanGuard } from "../../src/worker/orphan-guard.ts";
import { eventually } from "../fixtures/sdk/scratch.ts";

const HOST = "127.0.0.1";

/** A port that was free may be taken a moment later by another test. */
const MAX_PORT_TRIES = 5;

/** Longer than any answer that a test waits for; a paused server must not hang an assertion. */
const COMMAND_TIMEOUT_MS = 20_000;

/** A cluster's nodes talk to each other on a second port, this much above the first. */
const CLUSTER_BUS_OFFSET = 10_000;

export interface RedisServer {
  readonly host: string;
  readonly port: number;
  /** `redis://127.0.0.1:PORT` */
  readonly url: string;
  readonly folder: string;
  readonly pid: number;
  /** SIGKILL. Resolves when it is gone. */
  kill(): Promise<void>;
  /** Starts it again on the same port and folder, killing it if it runs. Resolves when it answers and has loaded its data. */
  restart(): Promise<void>;
  /** SIGSTOP: connections stay open, nothing answers. */
  pause(): void;
  /** SIGCONT */
  resume(): void;
  /** Ends it and removes its folder, if that is a temporary one. May be called twice. */
  stop(): Promise<void>;
  /** One command on a connection of its own; replies as in RESP 2. */
  command(...args: readonly string[]): Promise<unknown>;
}

const running = new Set<RedisProcess>();
const guard = new OrphanGuard();

process.once("exit", () => {
  for (const server of running) server.killNow();
});

class RedisProcess implements RedisServer {
  readonly host = HOST;
  readonly port: number;
  readonly folder: string;
  readonly #keepsFolder: boolean;
  readonly #flags: readonly string[];
  readonly #password: string | undefined;
  #child: ChildProcess | undefined;
  #startError: Error | undefined;

  constructor(options: Launch, port: number, folder: string) {
    this.port = port;
    this.folder = folder;
    this.#keepsFolder = options.folder !== undefined;
    this.#flags = options.flags ?? [];
    this.#password = options.config["requirepass"];
  }

  get url(): string {
    return `redis://${HOST}:${this.port}`;
  }

  get pid(): number {
    const pid = this.#child?.pid;
    if (pid === undefined) throw new Error(`the Redis server on port ${this.port} does not run`);
    return pid;
  }

  async start(): Promise<void> {
    running.add(this);
    const program = process.env["TEST_REDIS_SERVER"] ?? "redis-server";
    // A process group of its own, which is what the guard kills; a Ctrl-C reaches it that way as well.
    const child = spawn(program, [path.join(this.folder, "server.conf"), ...this.#flags], {
      stdio: "ignore",
      detached: true,
    });
    this.#child = child;
    this.#startError = undefined;
    child.once("error", (error) => {
      this.#startError = new Error(`cannot start ${program}: ${error.message}`);
    });
    child.once("exit", () => {
      if (child.pid !== undefined) guard.remove(child.pid);
      if (this.#child === child) this.#child = undefined;
    });
    if (child.pid !== undefined) guard.add(child.pid);
    child.unref();
    try {
      await eventually(`a Redis server answers on port ${this.port}`, () => this.#answers());
    } catch (error) {
      await this.kill();
      throw new Error(`${(error as Error).message}\n${this.#log()}`, { cause: error });
    }
  }

  /** Whether this very process answers: another one may have been quicker to take the port. */
  async #answers(): Promise<boolean> {
    if (this.#startError !== undefined) throw this.#startError;
    if (this.#child === undefined) throw new Error(`the Redis server on port ${this.port} ended`);
    try {
      await this.command("PING"); // refused while data is loaded
      return infoField(await this.command("INFO", "server"), "process_id") === String(this.#child?.pid);
    } catch {
      return false;
    }
  }

  #log(): string {
    try {
      return readFileSync(path.join(this.folder, "server.log"), "utf8").split("\n").slice(-20).join("\n");
    } catch {
      return "(it wrote no log)";
    }
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (child?.pid === undefined) return;
    const exited = once(child, "exit");
    child.ref();
    child.kill("SIGKILL");
    await exited;
  }

  async restart(): Promise<void> {
    await this.kill();
    await this.start();
  }

  pause(): void {
    process.kill(this.pid, "SIGSTOP");
  }

  resume(): void {
    process.kill(this.pid, "SIGCONT");
  }

  async stop(): Promise<void> {
    await this.kill();
    running.delete(this);
    if (!this.#keepsFolder) await rm(this.folder, { recursive: true, force: true });
  }

  /** The last resort of a process that ends. */
  killNow(): void {
    this.#child?.kill("SIGKILL");
    if (!this.#keepsFolder) rmSync(this.folder, { recursive: true, force: true });
  }

  async command(...args: readonly string[]): Promise<unknown> {
    const client = createClient({
      url: this.url,
      RESP: 2,
      disableClientInfo: true,
      ...(this.#password === undefined ? {} : { password: this.#password }),
      socket: { reconnectStrategy: false, socketTimeout: COMMAND_TIMEOUT_MS },
    });
    client.on("error", () => {
      // The command itself tells.
    });
    try {
      await client.connect();
      return await client.sendCommand([...args]);
    } finally {
      if (client.isOpen) client.destroy();
    }
  }
}

export interface Launch {
  /** Lines of the configuration file beside those about place and log. */
  readonly config: Readonly<Record<string, string>>;
  readonly port?: number;
  readonly folder?: string;
  readonly flags?: readonly string[];
}

/** Starts a server of any kind, which ends itself when it does not come up. */
export async function launch(options: Launch): Promise<RedisServer> {
  const folder = options.folder ?? (await mkdtemp(path.join(tmpdir(), "holdfast-redis-")));
  for (let tries = 1; ; tries += 1) {
    const port = options.port ?? (await freePort(options.config["cluster-enabled"] === "yes"));
    const server = new RedisProcess(options, port, folder);
    const lines = { bind: HOST, port, dir: folder, logfile: path.join(folder, "server.log"), ...options.config };
    const text = Object.entries(lines).map(([name, value]) => `${name} ${value}\n`);
    await writeFile(path.join(folder, "server.conf"), text.join(""));
    try {
      await server.start();
      return server;
    } catch (error) {
      const isTaken = (error as Error).message.includes("Address already in use");
      if (isTaken && options.port === undefined && tries < MAX_PORT_TRIES) continue;
      await server.stop();
      throw error;
    }
  }
}

async function freePort(needsBusPort: boolean): Promise<number> {
  for (;;) {
    const port = await listenOnce(0);
    if (port === undefined) throw new Error("this machine has no free port");
    if (!needsBusPort) return port;
    const busPort = port + CLUSTER_BUS_OFFSET;
    if (busPort < 65_536 && (await listenOnce(busPort)) !== undefined) return port;
  }
}

/** The port on which one can listen, `undefined` where it is taken. */
function listenOnce(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(undefined));
    probe.listen(port, HOST, () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === "object" ? address?.port : undefined));
    });
  });
}

/** A field of what INFO and CLUSTER INFO print. */
export function infoField(info: unknown, name: string): string | undefined {
  const line = String(info)
    .split("\r\n")
    .find((one) => one.startsWith(`${name}:`));
  return line?.slice(name.length + 1);
}
