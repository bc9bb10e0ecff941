/**
 * A link is how the broker talks to the one server that holds one shard, and how it gets back to
 * it, or to the server that holds the shard next.
 *
 * It has two connections to the same server: one for commands and one that listens to channels.
 * Losing either takes the link down until both are up again; one half alone is never used.
 *
 *     opening ──▶ up ◀──▶ down        close() leads to closed from everywhere
 *
 * - opening: the first connection. A refusal that lasts (password, right, database, kind of server)
 *   rejects openLink at once, everything else is tried again until `patienceMs`.
 * - up: commands are sent as they come, many on their way at a time, answered in order.
 * - down: send() rejects at once with LinkBroken{sent: false}, ready() waits. Nothing is queued and
 *   nothing is sent twice here: only the broker knows what may be repeated. The loop finds the
 *   master (find-master.ts), dials, asks the server who it is, subscribes, and is up. The first try
 *   comes at once, later ones after full-jitter pauses; a connection that did not last counts as a
 *   failed try, so that a server which greets us and then refuses every command is not hammered.
 *
 * What each failure does:
 * - The server is killed or restarted: its sockets close, commands on their way are rejected with
 *   LinkBroken{sent: true}; they may have been performed, and may be gone with the server's memory.
 * - It is stopped, or a partition swallows bytes: nothing is heard for `replyTimeoutMs`; the same.
 * - It loads its data, is no master any more, has handed our slot on, or its cluster is down: the
 *   command that was told so has LinkBroken{sent: false}, and the link goes down.
 * - Its scripts are forgotten (restart, fail-over, SCRIPT FLUSH): run() sends the text again. So does
 *   call() after a FUNCTION FLUSH.
 */
import { HoldfastError } from "../../../errors/index.ts";
import type { Logger } from "../../../telemetry/log.ts";
import { type Clock, sleep } from "../../../util/clock.ts";
import { type Connection, type ConnectionOptions, dial, type Reply } from "./connection.ts";
import { MasterFinder } from "./find-master.ts";
import { isLasting, LinkBroken, RedisRefusal } from "./link-errors.ts";
import type { FunctionLibrary, Script } from "./script.ts";
import { greet, type Greeting, type ServerFacts } from "./server-facts.ts";
import { Subscriptions } from "./subscriptions.ts";
import { describeNode, describeTarget, type RedisTarget } from "./target.ts";

export type { Reply } from "./connection.ts";
export { LinkBroken, RedisRefusal } from "./link-errors.ts";
export type { ServerFacts } from "./server-facts.ts";

export interface LinkOptions {
  readonly target: RedisTarget;
  /** Of all keys of the shard; in a cluster it tells the server. */
  readonly slot: number;
  /** How CLIENT LIST shows us. */
  readonly name: string;
  /** The real one: sockets know no other time. */
  readonly clock: Clock;
  /** 0 ≤ x < 1. */
  readonly random: () => number;
  readonly logger: Logger;
  readonly connectTimeoutMs?: number;
  /** A connection on which something is awaited and nothing is heard for this long is given up. */
  readonly replyTimeoutMs?: number;
  /** First and longest pause between attempts to connect. */
  readonly reconnect?: { readonly baseMs: number; readonly maxMs: number };
  /** How long openLink goes on trying. */
  readonly patienceMs?: number;
}

/** What a script or a function is given. */
export interface Keyed {
  readonly keys: readonly string[];
  readonly args: readonly (string | Buffer)[];
}

export interface Link {
  /**
   * One command. Rejects with LinkBroken or RedisRefusal. Calls of one turn of the event loop travel
   * together, and replies come in the order of the calls.
   */
  send(args: readonly (string | Buffer)[]): Promise<Reply>;
  /**
   * A script, by its hash, or by its text where the server does not know it. Calls are performed in
   * their order, except around a SCRIPT FLUSH by somebody else.
   */
  run(script: Script, keys: readonly string[], args: readonly (string | Buffer)[]): Promise<Reply>;
  /**
   * A function of a library, which is loaded where the server does not know it (any more). Only for servers
   * that have functions. Order as for `run`. Rejects as `send`.
   */
  call(library: FunctionLibrary, name: string, how: Keyed): Promise<Reply>;
  /** Resolves when up. Rejects with BROKER_UNREACHABLE after `patienceMs`, BROKER_CLOSED after close. */
  ready(patienceMs: number): Promise<void>;
  /**
   * Listens on a channel, over reconnections too. Returns its end. What is published while the link
   * is down, or before the server has heard of the subscription, is missed.
   */
  subscribe(channel: string, listener: (message: string) => void): () => void;
  /**
   * Calls back after every connection, when commands work and all subscriptions are in place again;
   * soon after this call for the connection that is there already. Returns its end.
   */
  onUp(listener: () => void): () => void;
  readonly isUp: boolean;
  /** When this connection, or the last one, was made; on our clock. */
  readonly connectedAt: number;
  /** Of this connection, or of the last one. */
  readonly server: ServerFacts;
  /** Rejects whatever is awaited with BROKER_CLOSED. */
  close(): Promise<void>;
}

const DEFAULTS = {
  connectTimeoutMs: 2_000,
  replyTimeoutMs: 5_000,
  reconnect: { baseMs: 20, maxMs: 500 },
  patienceMs: 10_000,
};

/**
 * Resolves when the link is up.
 *
 * Errors: UNAUTHORIZED and BROKER_UNREACHABLE, at once where trying again is of no use; else
 * BROKER_UNREACHABLE after `patienceMs`.
 */
export async function openLink(options: LinkOptions): Promise<Link> {
  const link = new RedisLink({ ...DEFAULTS, ...options });
  try {
    await link.open();
    return link;
  } catch (thrown) {
    await link.close();
    throw thrown;
  }
}

/** How often in a row a library may be gone that was loaded just now. */
const LOAD_TRIES = 5;

/** Both connections to one server, and what the server said about itself. */
interface Pair {
  readonly commands: Connection;
  readonly listening: Connection;
  readonly facts: ServerFacts;
  readonly connectedAt: number;
  /** Hashes of the scripts that were sent by text over this connection. */
  readonly scripts: Set<string>;
}

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

class RedisLink implements Link {
  readonly #options: LinkOptions & typeof DEFAULTS;
  readonly #url: string;
  readonly #finder: MasterFinder;
  readonly #dialling: Omit<ConnectionOptions, "node" | "db">;
  readonly #subscriptions: Subscriptions;
  readonly #closing = new AbortController();
  readonly #waiters = new Set<Waiter>();
  readonly #upListeners = new Set<() => void>();
  #pair: Pair | undefined;
  #lastPair: Pair | undefined;
  #problem = "not connected yet";
  #loop: Promise<void> = Promise.resolve();

  constructor(options: LinkOptions & typeof DEFAULTS) {
    const { target, slot, name, clock, connectTimeoutMs, replyTimeoutMs } = options;
    const signal = this.#closing.signal;
    this.#options = options;
    this.#url = describeTarget(target);
    const dialling = { tls: target.tls, clock, connectTimeoutMs, replyTimeoutMs, signal };
    this.#dialling = { ...dialling, name };
    this.#finder = new MasterFinder({ target, slot, dialling });
    this.#subscriptions = new Subscriptions(options.logger);
  }

  async open(): Promise<void> {
    let refused: (error: Error) => void = () => undefined;
    const refusal = new Promise<never>((_, reject) => (refused = reject));
    this.#loop = this.#stayConnected(refused);
    await Promise.race([this.ready(this.#options.patienceMs), refusal]);
  }

  get isUp(): boolean {
    return this.#pair !== undefined;
  }

  get connectedAt(): number {
    return this.#known().connectedAt;
  }

  get server(): ServerFacts {
    return this.#known().facts;
  }

  send(args: readonly (string | Buffer)[]): Promise<Reply> {
    return this.#pair === undefined ? Promise.reject(this.#notUp()) : this.#pair.commands.send(args);
  }

  run(script: Script, keys: readonly string[], args: readonly (string | Buffer)[]): Promise<Reply> {
    const pair = this.#pair;
    if (pair === undefined) return Promise.reject(this.#notUp());
    const bySha = ["EVALSHA", script.sha, String(keys.length), ...keys, ...args];
    const byText = (): Promise<Reply> => pair.commands.send(["EVAL", script.text, ...bySha.slice(2)]);
    // By text the first time, and not only after a NOSCRIPT, so that calls keep their order.
    if (!pair.scripts.has(script.sha)) {
      pair.scripts.add(script.sha);
      return byText();
    }
    return pair.commands.send(bySha).catch((thrown: unknown) => {
      if (thrown instanceof RedisRefusal && thrown.code === "NOSCRIPT") return byText();
      throw thrown;
    });
  }

  call(library: FunctionLibrary, name: string, { keys, args }: Keyed): Promise<Reply> {
    const pair = this.#pair;
    if (pair === undefined) return Promise.reject(this.#notUp());
    const command = ["FCALL", name, String(keys.length), ...keys].concat(args as string[]);
    const tryAgain = async (thrown: unknown, triesLeft: number): Promise<Reply> => {
      const isUnknown = thrown instanceof RedisRefusal && /function not found/i.test(thrown.text);
      if (!isUnknown || triesLeft === 0) throw thrown;
      // They travel together, so that hardly ever somebody's FUNCTION FLUSH comes between them.
      const [loaded, called] = await Promise.allSettled([
        loadLibrary(pair.commands, library),
        pair.commands.send(command),
      ]);
      if (called.status === "fulfilled") return called.value;
      if (loaded.status === "rejected") throw loaded.reason;
      return tryAgain(called.reason, triesLeft - 1);
    };
    return pair.commands.send(command).catch((thrown: unknown) => tryAgain(thrown, LOAD_TRIES));
  }

  ready(patienceMs: number): Promise<void> {
    if (this.#pair !== undefined) return Promise.resolve();
    if (this.#closing.signal.aborted) return Promise.reject(closed());
    return new Promise((resolve, reject) => {
      const giveUp = (): void => waiter.reject(this.#unreachable());
      const cancel = patienceMs === Infinity ? undefined : this.#options.clock.schedule(patienceMs, giveUp);
      const settled = (settle: () => void): void => {
        this.#waiters.delete(waiter);
        cancel?.();
        settle();
      };
      const waiter = {
        resolve: () => settled(resolve),
        reject: (error: Error) => settled(() => reject(error)),
      };
      this.#waiters.add(waiter);
    });
  }

  subscribe(channel: string, listener: (message: string) => void): () => void {
    return this.#subscriptions.add(channel, listener);
  }

  onUp(listener: () => void): () => void {
    // Two registrations of one function are two.
    const call = (): void => {
      try {
        listener();
      } catch (error) {
        this.#options.logger.error({ error }, "a listener failed");
      }
    };
    const pair = this.#pair;
    this.#upListeners.add(call);
    if (pair !== undefined) queueMicrotask(() => this.#pair === pair && this.#upListeners.has(call) && call());
    return () => this.#upListeners.delete(call);
  }

  async close(): Promise<void> {
    if (!this.#closing.signal.aborted) {
      this.#closing.abort(closed());
      for (const waiter of this.#waiters) waiter.reject(closed());
    }
    await this.#loop;
  }

  /** Ends when the link is closed. `refused`: trying again is of no use, said only of the first try. */
  async #stayConnected(refused: (error: Error) => void): Promise<void> {
    const { clock, logger, random, reconnect } = this.#options;
    const { signal } = this.#closing;
    let failures = 0;
    while (!signal.aborted) {
      try {
        const pair = await this.#connect();
        logger.debug({ url: this.#url, node: describeNode(pair.commands.node), failures }, "redis is reached");
        await this.#whileUp(pair);
        failures = clock.now() - pair.connectedAt < reconnect.maxMs ? failures + 1 : 0;
        if (!signal.aborted) logger.info({ url: this.#url, problem: this.#problem, failures }, "redis is lost");
      } catch (thrown) {
        if (signal.aborted) return;
        this.#problem = thrown instanceof Error ? thrown.message : String(thrown);
        if (this.#lastPair === undefined && isFinal(thrown)) refused(this.#finalError(thrown));
        failures += 1;
        logger.debug({ url: this.#url, problem: this.#problem, failures }, "redis is not reached");
      }
      this.#finder.follow(this.#problem);
      const longestMs = Math.min(reconnect.maxMs, reconnect.baseMs * 2 ** (failures - 1));
      const pauseMs = failures === 0 ? 0 : random() * longestMs;
      await sleep(clock, pauseMs, signal).catch(() => undefined);
    }
  }

  /** Finds the server, dials twice, makes sure that it is the one. */
  async #connect(): Promise<Pair> {
    const { target, clock } = this.#options;
    const node = await this.#finder.find();
    const { username, password, db } = target;
    const dialling = { ...this.#dialling, node, db, username, password };
    const commands = await dial(dialling);
    try {
      const greeting = await greet(commands, clock);
      this.#check(greeting, describeNode(node));
      const listening = await dial(dialling);
      try {
        await this.#subscriptions.place(listening);
      } catch (thrown) {
        listening.cut("not used");
        this.#subscriptions.forget(listening);
        throw thrown;
      }
      return { commands, listening, facts: greeting.facts, connectedAt: clock.now(), scripts: new Set() };
    } catch (thrown) {
      commands.cut("not used");
      throw thrown;
    }
  }

  #check({ mode, role, loading }: Greeting, node: string): void {
    const wanted = this.#options.target.mode;
    if ((mode === "cluster") !== (wanted === "cluster") || mode === "sentinel") {
      const kind =
        mode === "standalone" ? "not part of a cluster" : mode === "cluster" ? "part of a cluster" : "a sentinel";
      throw new HoldfastError("BROKER_UNREACHABLE", { url: this.#url, problem: `${node} is ${kind}.` });
    }
    if (loading) throw new LinkBroken(`${node}: it still loads its data`, false);
    if (role !== "master") throw new LinkBroken(`${node}: it is a replica`, false);
  }

  /** Says that the link is up; resolves when either connection has ended, and both have. */
  #whileUp(pair: Pair): Promise<void> {
    return new Promise((resolve) => {
      const down = (problem: string): void => {
        if (this.#pair !== pair) return;
        // At once, and not when the loop is told: nobody may find a dead connection up.
        this.#pair = undefined;
        this.#problem = problem;
        this.#subscriptions.forget(pair.listening);
        pair.commands.cut(problem);
        pair.listening.cut(problem);
        resolve();
      };
      this.#pair = pair;
      this.#lastPair = pair;
      pair.commands.onEnd(down);
      pair.listening.onEnd(down);
      if (this.#pair === undefined) return;
      for (const waiter of this.#waiters) waiter.resolve();
      for (const call of this.#upListeners) call();
    });
  }

  #known(): Pair {
    if (this.#lastPair === undefined) throw this.#unreachable();
    return this.#lastPair;
  }

  #notUp(): Error {
    return this.#closing.signal.aborted ? closed() : new LinkBroken(this.#problem, false);
  }

  #unreachable(): HoldfastError {
    return new HoldfastError("BROKER_UNREACHABLE", { url: this.#url, problem: this.#problem });
  }

  #finalError(thrown: HoldfastError | RedisRefusal): HoldfastError {
    if (thrown instanceof HoldfastError) return thrown;
    return thrown.code === "ERR" && !/AUTH|password/.test(thrown.text)
      ? this.#unreachable()
      : new HoldfastError("UNAUTHORIZED", { url: this.#url, problem: thrown.text }, { cause: thrown });
  }
}

/** Somebody else may have loaded it just now. */
async function loadLibrary(connection: Connection, { text }: FunctionLibrary): Promise<void> {
  try {
    await connection.send(["FUNCTION", "LOAD", text]);
  } catch (thrown) {
    if (!(thrown instanceof RedisRefusal && /already exists/i.test(thrown.text))) throw thrown;
  }
}

/** Trying again is of no use. */
function isFinal(thrown: unknown): thrown is HoldfastError | RedisRefusal {
  return thrown instanceof HoldfastError || (thrown instanceof RedisRefusal && isLasting(thrown));
}

function closed(): HoldfastError {
  return new HoldfastError("BROKER_CLOSED");
}
