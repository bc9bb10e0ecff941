/**
 * Redis with nothing on top: a stream, a consumer group and a hash of results, sent in pipelines.
 * No retries, fairness, events, counters or take-over: it tells what the server allows, not what a
 * task queue can do.
 */
import type { Consumer, Handler, Peer, Producer, RedisPlace } from "./peer.ts";
import { taskOf } from "./peer.ts";
import { clientFor } from "./redis-server.ts";

const STREAM = "tasks";
const GROUP = "workers";
const RESULTS = "results";
const BATCH = 100;
/** Loops of one consumer, each with a connection of its own, so that the server always has something to do. */
const LANES = 3;
const WAIT_MS = 100;

type Client = ReturnType<typeof clientFor>;

export const raw: Peer = {
  system: "raw",
  hasConcurrency: false,
  produce: async (place) => {
    const client = await connected(place);
    return new RawProducer(client);
  },
  consume: async (place) => {
    const clients = await Promise.all(Array.from({ length: LANES }, () => connected(place)));
    await clients[0]?.xGroupCreate(STREAM, GROUP, "0", { MKSTREAM: true });
    return new RawConsumer(clients);
  },
};

class RawProducer implements Producer {
  readonly #client: Client;

  constructor(client: Client) {
    this.#client = client;
  }

  async add(payloads: readonly string[]): Promise<void> {
    // Commands of one turn travel in one write.
    await Promise.all(payloads.map((payload) => this.#client.xAdd(STREAM, "*", { p: JSON.stringify(payload) })));
  }

  async readResults(): Promise<number[]> {
    const results = await this.#client.hGetAll(RESULTS);
    return Object.entries(results).map(([task, result]) => (result === "null" ? Number(task) : Number.NaN));
  }

  async close(): Promise<void> {
    await this.#client.close();
  }
}

class RawConsumer implements Consumer {
  readonly #clients: readonly Client[];
  #running: readonly Promise<void>[] = [];
  #isStopping = false;

  constructor(clients: readonly Client[]) {
    this.#clients = clients;
  }

  start(handler: Handler, completed: (tasks: number) => void): void {
    this.#running = this.#clients.map((client, lane) => this.#run({ client, lane, handler, completed }));
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await Promise.all(this.#running);
    await Promise.all(this.#clients.map((client) => client.close()));
  }

  async #run({ client, lane, handler, completed }: Lane): Promise<void> {
    while (!this.#isStopping) {
      const reply = await client.xReadGroup(
        GROUP,
        `lane-${lane}`,
        { key: STREAM, id: ">" },
        { COUNT: BATCH, BLOCK: WAIT_MS },
      );
      const messages = (reply as unknown as Reply)?.[0]?.messages ?? [];
      if (messages.length === 0) continue;
      const ids = messages.map(({ id }) => id);
      const results = messages.flatMap(({ message }) => {
        const payload = JSON.parse(message["p"] ?? "") as string;
        return [String(taskOf(payload)), JSON.stringify(handler(payload))];
      });
      await Promise.all([
        client.sendCommand(["HSET", RESULTS, ...results]),
        client.xAck(STREAM, GROUP, ids),
        client.xDel(STREAM, ids),
      ]);
      completed(messages.length);
    }
  }
}

interface Lane {
  readonly client: Client;
  readonly lane: number;
  readonly handler: Handler;
  readonly completed: (tasks: number) => void;
}

/** The client's own type of this reply names no fields. */
type Reply = readonly { readonly messages: readonly Message[] }[] | null;

interface Message {
  readonly id: string;
  readonly message: Readonly<Record<string, string>>;
}

async function connected(place: RedisPlace): Promise<Client> {
  const client = clientFor(place);
  await client.connect();
  return client;
}
