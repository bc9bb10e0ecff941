/**
 * A Restate server of the bench's own, with its default durability, and the process that serves its
 * handlers: started for one round, gone with its folder afterwards.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import http from "node:http";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Child } from "../child.ts";
import { freePort } from "../free-port.ts";
import { siblingModule } from "../../src/util/sibling-module.ts";

const HOST = "127.0.0.1";
const START_LIMIT_MS = 60_000;
const POLL_MS = 50;

/** What the process of the handlers is asked. */
export interface HandlersRequest {
  /** Folder in which the SDK is installed. */
  readonly folder: string;
  readonly port: number;
}

export interface Restate {
  /** Runs one workflow of three durable steps, one after the other, and resolves when it is done. */
  runChain(): Promise<void>;
  close(): Promise<void>;
}

export async function startRestate(folder: string): Promise<Restate> {
  const installed = execFileSync(process.execPath, [path.resolve("tools/install-restate.mjs")], { encoding: "utf8" });
  const [ingress, admin, node, handlers] = [await freePort(), await freePort(), await freePort(), await freePort()];
  const server = startServer({ installed, folder, ingress, admin, node });
  const service = new Child(siblingModule(import.meta.url, "./handlers"));
  const agent = new http.Agent({ keepAlive: true, maxSockets: 512 });
  const close = async (): Promise<void> => {
    agent.destroy();
    await service.end();
    if (server.exitCode !== null) return;
    const ended = once(server, "exit");
    kill(server);
    await ended;
  };
  try {
    await service.ask({ folder: installed, port: handlers } satisfies HandlersRequest);
    await untilHealthy(agent, admin);
    await post({ agent, port: admin, path: "/deployments", body: { uri: `http://${HOST}:${handlers}` } });
    return {
      runChain: async () => {
        await post({ agent, port: ingress, path: "/chain/run", body: 1 });
      },
      close,
    };
  } catch (thrown) {
    await close();
    throw thrown;
  }
}

function startServer(options: {
  readonly installed: string;
  readonly folder: string;
  readonly ingress: number;
  readonly admin: number;
  readonly node: number;
}): ChildProcess {
  const { installed, folder, ingress, admin, node } = options;
  const child = spawn(path.join(installed, "node_modules", ".bin", "restate-server"), ["--base-dir", folder], {
    env: {
      ...process.env,
      RESTATE_INGRESS__BIND_ADDRESS: `${HOST}:${ingress}`,
      RESTATE_ADMIN__BIND_ADDRESS: `${HOST}:${admin}`,
      RESTATE_BIND_ADDRESS: `${HOST}:${node}`,
      RESTATE_DISABLE_TELEMETRY: "true",
      RUST_LOG: "error",
    },
    stdio: ["ignore", "ignore", "inherit"],
    // The program starts another one: both are ended as one group.
    detached: true,
  });
  // However the bench ends, its server does not stay behind.
  process.once("exit", () => kill(child));
  return child;
}

function kill({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, "SIGKILL");
  } catch {
    // It has ended.
  }
}

async function untilHealthy(agent: http.Agent, admin: number): Promise<void> {
  const limitAtMs = performance.now() + START_LIMIT_MS;
  for (;;) {
    try {
      if ((await ask({ agent, port: admin, path: "/health", method: "GET" })) < 300) return;
    } catch {
      // It does not listen yet.
    }
    if (performance.now() > limitAtMs) throw new Error("restate-server does not answer.");
    await delay(POLL_MS);
  }
}

interface Request {
  readonly agent: http.Agent;
  readonly port: number;
  readonly path: string;
}

async function post(request: Request & { readonly body: unknown }): Promise<void> {
  const status = await ask({ ...request, method: "POST", text: JSON.stringify(request.body) });
  if (status >= 300) throw new Error(`Restate answers ${request.path} with ${status}.`);
}

function ask(request: Request & { readonly method: string; readonly text?: string }): Promise<number> {
  const { agent, port, path: at, method, text } = request;
  return new Promise((resolve, reject) => {
    const headers = text === undefined ? {} : { "content-type": "application/json", "content-length": text.length };
    const sent = http.request({ agent, host: HOST, port, path: at, method, headers }, (reply) => {
      reply.resume();
      reply.once("end", () => resolve(reply.statusCode ?? 0));
      reply.once("error", reject);
    });
    sent.once("error", reject);
    sent.end(text);
  });
}
