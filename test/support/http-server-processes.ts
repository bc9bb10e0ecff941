/**
 * `holdfast server` in processes of its own, one or several on one store, each on a port that it
 * keeps, so that it can be killed and started again where it was.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { TestContext } from "node:test";
import { siblingModule } from "../../src/util/sibling-module.ts";
import { cleanups, eventually } from "../fixtures/sdk/scratch.ts";

export interface ServerProcess {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** SIGKILL. Resolves when it is gone. */
  kill(): Promise<void>;
  /** SIGTERM. Resolves with its exit code. */
  end(): Promise<number | null>;
  /** Starts it again on its port. Resolves when it answers. */
  restart(): Promise<void>;
  /** SIGSTOP and SIGCONT. */
  signal(signal: "SIGSTOP" | "SIGCONT"): void;
}

export interface ServerProcesses {
  /** Where the servers run, with the store where that is a folder. */
  readonly folder: string;
  readonly servers: readonly ServerProcess[];
  /** Of all of them, with commas. */
  readonly address: string;
  /** Of all of them, for programs that speak over a WebSocket. */
  readonly socketAddress: string;
  /** What all of them have printed so far, and logged. */
  output(): string;
}

export interface ServerProcessesOptions {
  /** Default 1. */
  readonly count?: number;
  /** A Redis. Default: `./.holdfast` in the folder, which one server owns. */
  readonly broker?: string;
  /** `HOLDFAST_…`, for all of them. */
  readonly environment?: Readonly<Record<string, string>>;
}

const PRINTED_ADDRESS = /Address +http:\/\/127\.0\.0\.1:(\d+)/;

export async function startServerProcesses(
  t: TestContext,
  { count = 1, broker, environment = {} }: ServerProcessesOptions = {},
): Promise<ServerProcesses> {
  const folder = await mkdtemp(path.join(tmpdir(), "holdfast-servers-"));
  const cleanup = cleanups(t);
  cleanup(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
  const env = { ...environment, ...(broker === undefined ? {} : { HOLDFAST_BROKER: broker }) };
  const servers = Array.from({ length: count }, (_, no) => new Server(folder, `server-${no}.log`, env));
  cleanup(() => Promise.all(servers.map((server) => server.kill())));
  await Promise.all(servers.map((server) => server.start()));
  return {
    folder,
    servers,
    address: servers.map(({ url }) => url).join(","),
    socketAddress: servers.map(({ url }) => url.replace("http:", "ws:")).join(","),
    output: () => servers.map((server) => server.output()).join("\n"),
  };
}

class Server implements ServerProcess {
  readonly #folder: string;
  readonly #log: string;
  readonly #environment: Readonly<Record<string, string>>;
  #child: ChildProcess | undefined;
  /** Where the output of its present life begins. */
  #printedFrom = 0;
  #port = 0;

  constructor(folder: string, log: string, environment: Readonly<Record<string, string>>) {
    this.#folder = folder;
    this.#log = path.join(folder, log);
    this.#environment = environment;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get port(): number {
    return this.#port;
  }

  get pid(): number {
    assert.ok(this.#child?.pid !== undefined, "the server runs");
    return this.#child.pid;
  }

  output(): string {
    return readFileSync(this.#log, "utf8");
  }

  async start(): Promise<void> {
    const log = openSync(this.#log, "a");
    this.#printedFrom = this.output().length;
    const args = [siblingModule(import.meta.url, "../fixtures/cli/launch"), "server"];
    const child = spawn(process.execPath, [...args, "--listen-port", String(this.#port)], {
      cwd: this.#folder,
      env: { ...cleanEnvironment(), ...this.#environment },
      stdio: ["ignore", log, log],
    });
    closeSync(log);
    this.#child = child;
    this.#port = await eventually("the server is up", () => {
      const printed = this.output().slice(this.#printedFrom);
      assert.equal(child.exitCode, null, `the server ended:\n${printed}`);
      const [, port] = PRINTED_ADDRESS.exec(printed) ?? [];
      return port === undefined ? undefined : Number(port);
    });
  }

  async restart(): Promise<void> {
    await this.kill();
    await this.start();
  }

  async kill(): Promise<void> {
    await this.#endBy("SIGKILL");
  }

  end(): Promise<number | null> {
    return this.#endBy("SIGTERM");
  }

  signal(signal: "SIGSTOP" | "SIGCONT"): void {
    process.kill(this.pid, signal);
  }

  async #endBy(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return null;
    const exited = once(child, "exit") as Promise<[number | null]>;
    child.kill(signal);
    const [code] = await exited;
    return code;
  }
}

/** Without the settings of whoever runs the tests. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const entries = Object.entries(process.env).filter(([name]) => !/^(HOLDFAST_|REDIS_|NODE_TEST_)/.test(name));
  return Object.fromEntries(entries);
}
