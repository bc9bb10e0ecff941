/**
 * One connection to one server, from dialling to its end. It never comes back; link.ts makes the
 * next one.
 *
 * States: dialling, open, ended. It ends when the socket breaks, when the server says that it
 * cannot serve us now (link-errors.ts), when nothing is heard for too long, or when it is cut.
 * Whatever awaits a reply then is rejected with LinkBroken, or with the error given to `cut`.
 *
 * Silence. One watch per connection ticks; replies and messages set its count back. What is awaited
 * and does not come within `replyTimeoutMs` ends the connection, so that a partition which swallows
 * bytes is noticed; when nothing is awaited for a while, a PING is. Ticks are counted, not
 * milliseconds: after this process itself was stopped or blocked, the replies that lie in the
 * socket are read before a second tick can pass, and a healthy connection is kept.
 *
 * The client of @redis/client is used as a plain connection: it neither reconnects nor resends nor
 * queues, and it has no timer per command.
 */
import { createClient, ErrorReply } from "@redis/client";
import type { Clock } from "../../../util/clock.ts";
import { isNotNow, LinkBroken, RedisRefusal } from "./link-errors.ts";
import { describeNode, type RedisNode, type RedisTls } from "./target.ts";

/** What the server answers, as RESP 2 has it. */
export type Reply = string | number | null | Reply[];

export interface ConnectionOptions {
  readonly node: RedisNode;
  readonly db: number;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly tls?: RedisTls | undefined;
  /** For CLIENT LIST. */
  readonly name?: string;
  readonly clock: Clock;
  /** For everything until the server has accepted us. */
  readonly connectTimeoutMs: number;
  readonly replyTimeoutMs: number;
  /** Cuts the connection, with its reason as the error. */
  readonly signal: AbortSignal;
}

const PING_AFTER_MS = 2_000;
const TICKS_PER_TIMEOUT = 10;
const KEEPALIVE_AFTER_MS = 5_000;

/**
 * Dials, authenticates, selects the database. Rejects with RedisRefusal when the server says no,
 * LinkBroken when it cannot be reached in time, or the signal's reason.
 */
export async function dial(options: ConnectionOptions): Promise<Connection> {
  const connection = new Connection(options);
  await connection.open();
  return connection;
}

export class Connection {
  readonly node: RedisNode;
  readonly #options: ConnectionOptions;
  readonly #client: ReturnType<typeof plainClient>;
  readonly #socketCut = new AbortController();
  readonly #onEnd = new Set<(problem: string) => void>();
  /** Commands that were given to the client and not answered. */
  #awaited = 0;
  /** Ticks of the watch since anything was heard, or since something is awaited again. */
  #quietTicks = 0;
  #stopWatch: () => void = () => undefined;
  #end: { readonly problem: string; readonly error: Error } | undefined;
  readonly #onAbort = (): void => this.cut("closed", this.#options.signal.reason as Error);

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.node = options.node;
    this.#client = plainClient(options, this.#socketCut.signal);
    this.#client.on("error", (error: Error) => this.#fail(problemOf(error), refusalOf(error)));
    options.signal.addEventListener("abort", this.#onAbort, { once: true });
    if (options.signal.aborted) this.#onAbort();
  }

  async open(): Promise<void> {
    const { clock, connectTimeoutMs } = this.#options;
    const cancel = clock.schedule(connectTimeoutMs, () => this.#fail(`no answer within ${connectTimeoutMs} ms`));
    try {
      if (this.#end === undefined) await this.#client.connect();
    } catch (thrown) {
      this.#fail(problemOf(thrown as Error), refusalOf(thrown));
    } finally {
      cancel();
    }
    if (this.#end !== undefined) {
      // A socket that was still being dialled when the client was destroyed is destroyed now.
      this.#client.destroy();
      throw this.#end.error;
    }
    this.#watch();
  }

  /** Calls back once, at once when the connection ends. */
  onEnd(listener: (problem: string) => void): void {
    if (this.#end === undefined) this.#onEnd.add(listener);
    else listener(this.#end.problem);
  }

  /** One command. Rejects with LinkBroken or RedisRefusal. */
  send(args: readonly (string | Buffer)[]): Promise<Reply> {
    if (this.#end !== undefined) return Promise.reject(this.#error(false));
    if (this.#awaited === 0) this.#quietTicks = 0;
    this.#awaited += 1;
    return this.#client.sendCommand<Reply>(args).then(this.#onReply, this.#onFailure);
  }

  /** Resolves when the server has confirmed it. The listener must not throw. */
  async subscribe(channel: string, listener: (message: string) => void): Promise<void> {
    await this.#counted(() =>
      this.#client.subscribe(channel, (message) => {
        this.#quietTicks = 0;
        listener(message);
      }),
    );
  }

  async unsubscribe(channel: string): Promise<void> {
    await this.#counted(() => this.#client.unsubscribe(channel));
  }

  /** Ends it at once. Commands without a reply are rejected with `error`, by default LinkBroken. */
  cut(problem: string, error?: Error): void {
    if (this.#end !== undefined) return;
    this.#end = { problem, error: error ?? new LinkBroken(problem, true) };
    this.#stopWatch();
    this.#options.signal.removeEventListener("abort", this.#onAbort);
    this.#client.destroy();
    this.#socketCut.abort();
    for (const listener of this.#onEnd) listener(problem);
    this.#onEnd.clear();
  }

  #fail(problem: string, error?: Error): void {
    this.cut(`${describeNode(this.node)}: ${problem}`, error);
  }

  readonly #onReply = <T>(reply: T): T => {
    this.#heard();
    return reply;
  };

  readonly #onFailure = (thrown: unknown): never => {
    const refusal = refusalOf(thrown);
    if (refusal === undefined) {
      this.#awaited -= 1;
      throw this.#end === undefined ? thrown : this.#error(true);
    }
    this.#heard();
    if (!isNotNow(refusal)) throw refusal;
    this.#fail(refusal.text);
    throw new LinkBroken(refusal.text, false);
  };

  async #counted(command: () => Promise<void>): Promise<void> {
    if (this.#end !== undefined) throw this.#error(false);
    if (this.#awaited === 0) this.#quietTicks = 0;
    this.#awaited += 1;
    await command().then(this.#onReply, this.#onFailure);
  }

  #heard(): void {
    this.#awaited -= 1;
    this.#quietTicks = 0;
  }

  #error(sent: boolean): Error {
    const error = this.#end?.error;
    return error === undefined || error instanceof LinkBroken
      ? new LinkBroken(error?.message ?? "closed", sent)
      : error;
  }

  #watch(): void {
    const { clock, replyTimeoutMs } = this.#options;
    const tickMs = Math.ceil(replyTimeoutMs / TICKS_PER_TIMEOUT);
    const tick = (): void => {
      this.#quietTicks += 1;
      if (this.#awaited > 0 && this.#quietTicks > TICKS_PER_TIMEOUT) {
        this.#fail(`no reply within ${replyTimeoutMs} ms`);
        return;
      }
      if (this.#awaited === 0 && this.#quietTicks * tickMs > Math.min(PING_AFTER_MS, replyTimeoutMs)) this.#ping();
      this.#stopWatch = clock.schedule(tickMs, tick);
    };
    this.#stopWatch = clock.schedule(tickMs, tick);
  }

  #ping(): void {
    // A server that answers with an error is alive; one that does not ends the connection.
    this.send(["PING"]).catch(() => undefined);
  }
}

function plainClient(options: ConnectionOptions, signal: AbortSignal) {
  const { node, tls, username, password, name } = options;
  const socket = {
    host: node.host,
    port: node.port,
    connectTimeout: options.connectTimeoutMs,
    reconnectStrategy: false as const,
    keepAliveInitialDelay: KEEPALIVE_AFTER_MS,
    signal,
  };
  return createClient({
    RESP: 2,
    socket: tls === undefined ? socket : { ...socket, ...tls, tls: true },
    database: options.db,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(name === undefined ? {} : { name }),
    disableOfflineQueue: true,
    disableClientInfo: true,
    maintNotifications: "disabled",
    commandOptions: { timeout: 0 },
  });
}

/** Undefined: it is no answer of the server. */
function refusalOf(thrown: unknown): RedisRefusal | undefined {
  return thrown instanceof ErrorReply ? new RedisRefusal(thrown.message) : undefined;
}

/** Node reports a failed dial of several addresses as an AggregateError without a message. */
function problemOf(error: Error): string {
  if (error instanceof AggregateError && error.message === "") return error.errors.map(String).join("; ");
  return error.message;
}
