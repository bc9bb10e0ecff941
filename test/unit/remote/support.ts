/** Brokers to play with, a cable that can be cut, and a client that says what it likes. */
import { once } from "node:events";
import { createServer, connect as dial, type Server, type Socket } from "node:net";
import { type RawData, WebSocket } from "ws";
import {
  type Broker,
  BROKER_METHODS,
  type BrokerMethod,
  type ClaimReply,
  type CommitParams,
  type CommitReply,
  type Lease,
  type Outcome,
  type ReconcileParams,
  type ReconcileReply,
} from "../../../src/broker/contract.ts";
import { connectRemoteBroker, type ConnectRemoteOptions } from "../../../src/broker/remote/connect.ts";
import { serveBroker, type ServeBrokerOptions, type ServedBroker } from "../../../src/broker/remote/serve-broker.ts";
import { acceptToken } from "../../../src/broker/remote/token.ts";
import { HoldfastError } from "../../../src/errors/index.ts";
import { systemClock } from "../../../src/util/clock.ts";

export const TOKEN = "a-token-for-tests";

/** A broker of which only the given methods exist. */
export function brokerOf(methods: Partial<Broker>): Broker {
  const missing = Object.fromEntries(
    BROKER_METHODS.map((method) => [
      method,
      () => Promise.reject(new HoldfastError("INTERNAL", { problem: `${method} is not part of this test` })),
    ]),
  ) as unknown as Pick<Broker, BrokerMethod>;
  return {
    ...missing,
    features: { name: "fake", durable: true, needsCoordinator: true },
    close: () => Promise.resolve(),
    ...methods,
  };
}

interface HeldLease {
  readonly lease: Lease;
  readonly session: string;
}

/**
 * A broker in a few lines that keeps promises 1, 3 and 7 for separate tasks: what one needs to see
 * whether a wire loses or doubles anything.
 */
export class TinyBroker {
  readonly broker: Broker;
  readonly keys = new Map<string, string>();
  /** Completed tasks, by number, with the number of times they were accepted. */
  readonly completions = new Map<number, number>();
  readonly held = new Map<string, HeldLease>();
  readonly sessions = new Map<string, "live" | "left" | "lost">();
  readonly returned: number[] = [];
  readonly lost: number[] = [];
  readonly accepted = new Set<string>();
  #queue: number[] = [];
  #tokens = 0;
  #nextTask = 0;
  readonly #waiters = new Set<() => void>();
  readonly #watchers = new Set<() => void>();

  constructor() {
    this.broker = brokerOf({
      submit: async ({ submissions }) => {
        const executions = submissions.map(({ key = `nokey-${this.keys.size}`, groups }) => {
          const created = !this.keys.has(key);
          if (created) {
            this.keys.set(key, `x${this.keys.size}`);
            for (const { work } of groups) this.add(work.kind === "tasks" ? work.inputs.length : 1);
          }
          return { executionId: this.keys.get(key) ?? "", created };
        });
        return { executions };
      },
      openSession: async () => {
        const session = `s${this.sessions.size + 1}`;
        this.#setSession(session, "live");
        return { session, heartbeatMs: 1_000, deadAfterMs: 5_000 };
      },
      heartbeat: async ({ session }) => {
        this.#needLive(session);
        return { cancel: [], drain: false };
      },
      claim: ({ session, max, waitMs }) => this.#claim(session, max, waitMs),
      commit: (params) => this.#commit(params),
      reconcile: async (params) => this.#reconcile(params),
      closeSession: async ({ session, reason }) => {
        if (this.sessions.get(session) === "live") this.#endSession(session, reason);
      },
    });
  }

  /** Adds tasks to the queue. */
  add(count: number): void {
    for (let index = 0; index < count; index += 1, this.#nextTask += 1) this.#queue.push(this.#nextTask);
    this.#wake();
  }

  get waiting(): number {
    return this.#waiters.size;
  }

  get queued(): readonly number[] {
    return this.#queue;
  }

  /** Resolves when the condition holds; looked at after every change. */
  until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (!condition()) return;
        this.#watchers.delete(look);
        resolve();
      };
      this.#watchers.add(look);
      look();
    });
  }

  #needLive(session: string): void {
    if (this.sessions.get(session) !== "live") throw new HoldfastError("SESSION_LOST", { session });
  }

  #setSession(session: string, state: "live" | "left" | "lost"): void {
    this.sessions.set(session, state);
    this.#changed();
  }

  #endSession(session: string, reason: "left" | "lost"): void {
    for (const [token, held] of this.held) {
      if (held.session !== session) continue;
      this.held.delete(token);
      (reason === "lost" ? this.lost : this.returned).push(held.lease.task);
      this.#queue.push(held.lease.task);
    }
    this.#setSession(session, reason);
    this.#wake();
  }

  async #claim(session: string, max: number, waitMs: number): Promise<ClaimReply> {
    this.#needLive(session);
    if (this.#queue.length === 0 && waitMs > 0) await this.#wait(waitMs);
    this.#needLive(session);
    const leases = this.#queue.splice(0, max).map((task): Lease => {
      this.#tokens += 1;
      return { executionId: "x0", task, token: `t${this.#tokens}`, spec: "spec", attempt: 1, input: String(task) };
    });
    for (const lease of leases) this.held.set(lease.token, { lease, session });
    this.#changed();
    return { leases, specs: { spec: { name: "work", handler: "{}" } }, cancel: [], drain: false };
  }

  async #commit({ session, outcomes, claim }: CommitParams): Promise<CommitReply> {
    this.#needLive(session);
    const verdicts = outcomes.map((outcome) => this.#judge(session, outcome));
    this.#wake();
    const claimed = await this.#claim(session, claim?.max ?? 0, claim?.waitMs ?? 0);
    return { ...claimed, verdicts };
  }

  #judge(session: string, outcome: Outcome): "accepted" | "refused" {
    const { task, token } = outcome.lease;
    if (this.accepted.has(token)) return "accepted";
    if (this.held.get(token)?.session !== session) return "refused";
    this.held.delete(token);
    if (outcome.kind === "returned") {
      this.returned.push(task);
      this.#queue.push(task);
      return "accepted";
    }
    this.accepted.add(token);
    this.completions.set(task, (this.completions.get(task) ?? 0) + 1);
    return "accepted";
  }

  #reconcile({ session, held }: ReconcileParams): ReconcileReply {
    this.#needLive(session);
    const known = new Set(held.map(({ token }) => token));
    const unknown = [...this.held].filter(([token, one]) => one.session === session && !known.has(token));
    for (const [token, { lease }] of unknown) {
      this.held.delete(token);
      this.returned.push(lease.task);
      this.#queue.push(lease.task);
    }
    this.#wake();
    return { returned: unknown.length, lost: held.filter(({ token }) => this.held.get(token)?.session !== session) };
  }

  #wait(waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        cancelTimer();
        this.#waiters.delete(end);
        resolve();
      };
      const cancelTimer = systemClock().schedule(waitMs, end);
      this.#waiters.add(end);
      this.#changed();
    });
  }

  #wake(): void {
    for (const waiter of this.#waiters) waiter();
    this.#changed();
  }

  #changed(): void {
    for (const look of this.#watchers) look();
  }
}

/** Things to end after a test, last made first. */
export class Belongings {
  #hosts = 0;
  readonly #ends: (() => Promise<unknown> | void)[] = [];

  keep(end: () => Promise<unknown> | void): void {
    this.#ends.push(end);
  }

  async end(): Promise<void> {
    for (const end of this.#ends.splice(0).toReversed()) await end();
  }

  async serve(broker: Broker, options: Partial<ServeBrokerOptions> = {}): Promise<ServedBroker> {
    this.#hosts += 1;
    const newId = (): string => `host-${this.#hosts}`;
    const host = await serveBroker({ broker, access: acceptToken(TOKEN), clock: systemClock(), newId, ...options });
    this.keep(() => host.close());
    return host;
  }

  async connect(url: string | (() => string), options: Partial<ConnectRemoteOptions> = {}): Promise<Broker> {
    const address = (): { url: string; token: string } => ({
      url: typeof url === "string" ? url : url(),
      token: TOKEN,
    });
    const client = await connectRemoteBroker({
      url: address,
      clock: systemClock({ keepAlive: true }),
      random: Math.random,
      ...options,
    });
    this.keep(() => client.close());
    return client;
  }

  connectAs(token: string, url: string): Promise<Broker> {
    return this.connect(url, { url: () => ({ url, token }) });
  }

  async cable(url: string): Promise<Cable> {
    const cable = await Cable.lay(Number(new URL(url).port));
    this.keep(() => cable.remove());
    return cable;
  }

  async raw(url: string, options: { readonly token?: string; readonly hello?: unknown } = {}): Promise<RawClient> {
    const client = new RawClient(url, options.token ?? TOKEN);
    this.keep(() => client.socket.terminate());
    await once(client.socket, "open");
    client.send(options.hello ?? ["hello", { protocol: 1, client: `raw-${Math.random()}`, received: 0 }]);
    return client;
  }
}

/** A cable between clients and a host that can be cut and mended. */
export class Cable {
  readonly #server: Server;
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  /** Where new connections lead. */
  port: number;
  /** Refuses new connections while false. */
  mended = true;
  connections = 0;
  /** Swallows what the host says while true: the reply is on the way for ever. */
  deafClient = false;

  private constructor(port: number) {
    this.port = port;
    this.#server = createServer((client) => this.#join(client));
  }

  static async lay(port: number): Promise<Cable> {
    const cable = new Cable(port);
    cable.#server.listen(0, "127.0.0.1");
    await once(cable.#server, "listening");
    return cable;
  }

  get url(): string {
    const address = this.#server.address();
    return `ws://127.0.0.1:${typeof address === "object" ? address?.port : 0}/broker`;
  }

  /** Breaks every connection. */
  cut(): void {
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy();
  }

  async remove(): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, "close");
  }

  #join(client: Socket): void {
    if (!this.mended) {
      client.destroy();
      return;
    }
    this.connections += 1;
    const host = dial(this.port, "127.0.0.1");
    const pair = [client, host] as const;
    this.#pairs.add(pair);
    client.on("data", (data) => host.write(data));
    host.on("data", (data) => {
      if (!this.deafClient) client.write(data);
    });
    for (const socket of pair) {
      // A broken connection is what this is for.
      socket.on("error", () => socket.destroy());
      socket.on("close", () => {
        client.destroy();
        host.destroy();
        this.#pairs.delete(pair);
      });
    }
  }
}

/** Speaks frames, good and bad ones. */
export class RawClient {
  readonly socket: WebSocket;
  readonly frames: unknown[] = [];
  #changed: () => void = () => undefined;

  constructor(url: string, token: string) {
    this.socket = new WebSocket(url, { headers: { authorization: `Bearer ${token}` } });
    this.socket.on("message", (data: RawData) => {
      this.frames.push(JSON.parse((data as Buffer).toString()));
      this.#changed();
    });
    this.socket.on("error", () => this.#changed());
  }

  send(frame: unknown): void {
    this.sendText(JSON.stringify(frame));
  }

  sendText(text: string): void {
    this.socket.send(text);
  }

  /** Resolves with the frame number `index` (0 is the welcome). */
  frame(index: number): Promise<unknown> {
    return new Promise((resolve) => {
      this.#changed = () => {
        if (this.frames.length > index) resolve(this.frames[index]);
      };
      this.#changed();
    });
  }
}

/** Waits for a condition that nothing announces. */
export async function eventually(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

/** A gate that calls wait at until it is opened. */
export function gate(): { readonly opened: Promise<void>; open(): void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open: () => open() };
}
