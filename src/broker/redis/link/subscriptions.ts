/** Who listens to which channel, kept while the listening connection comes and goes. */
import type { Logger } from "../../../telemetry/log.ts";
import type { Connection } from "./connection.ts";

type Listener = (message: string) => void;

export class Subscriptions {
  readonly #logger: Logger;
  readonly #channels = new Map<string, Set<Listener>>();
  #connection: Connection | undefined;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Returns its end. */
  add(channel: string, listener: Listener): () => void {
    // Two registrations of one function are two.
    const call: Listener = (message) => listener(message);
    const listeners = this.#channels.get(channel);
    if (listeners !== undefined) listeners.add(call);
    else {
      this.#channels.set(channel, new Set([call]));
      const connection = this.#connection;
      if (connection !== undefined) cutUnlessDone(connection, this.#subscribe(connection, channel));
    }
    return () => this.#remove(channel, call);
  }

  /** Subscribes to everything over a new connection. Rejects when the server does not confirm it all. */
  async place(connection: Connection): Promise<void> {
    this.#connection = connection;
    await Promise.all([...this.#channels.keys()].map((channel) => this.#subscribe(connection, channel)));
  }

  forget(connection: Connection): void {
    if (this.#connection === connection) this.#connection = undefined;
  }

  #remove(channel: string, call: Listener): void {
    const listeners = this.#channels.get(channel);
    if (listeners?.delete(call) !== true || listeners.size > 0) return;
    this.#channels.delete(channel);
    const connection = this.#connection;
    if (connection !== undefined) cutUnlessDone(connection, connection.unsubscribe(channel));
  }

  #subscribe(connection: Connection, channel: string): Promise<void> {
    return connection.subscribe(channel, (message) => {
      for (const call of this.#channels.get(channel) ?? []) {
        try {
          call(message);
        } catch (error) {
          this.#logger.error({ error, channel }, "a listener failed");
        }
      }
    });
  }
}

/** A connection that does not carry what it should is of no use; its end says why. */
function cutUnlessDone(connection: Connection, done: Promise<void>): void {
  done.catch((thrown: unknown) => connection.cut(thrown instanceof Error ? thrown.message : String(thrown)));
}
