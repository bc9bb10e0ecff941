/**
 * BullMQ at its best: `addBulk`, one Worker with a concurrency, completed jobs kept as it keeps them
 * by default. Of its two drivers node-redis is measured: at a concurrency of 50 or 100 it is faster
 * than ioredis and takes about a third less processor time.
 */
import { Queue, Worker } from "bullmq";
import type { Consumer, ConsumerOptions, Handler, Peer, Producer, RedisPlace } from "./peer.ts";
import { taskOf } from "./peer.ts";
import { clientFor } from "./redis-server.ts";

const QUEUE = "bench";

type Client = ReturnType<typeof clientFor>;

export const bullmq: Peer = {
  system: "bullmq",
  hasConcurrency: true,
  produce: async (place) => {
    const client = await connected(place);
    const queue = new Queue<string>(QUEUE, { connection: client });
    await queue.waitUntilReady();
    return new BullProducer(queue, client);
  },
  consume: async (place, options) => {
    const consumer = new BullConsumer(await connected(place), options);
    await consumer.waitUntilReady();
    return consumer;
  },
};

class BullProducer implements Producer {
  readonly #queue: Queue<string>;
  readonly #client: Client;

  constructor(queue: Queue<string>, client: Client) {
    this.#queue = queue;
    this.#client = client;
  }

  async add(payloads: readonly string[]): Promise<void> {
    await this.#queue.addBulk(payloads.map((data) => ({ name: "no-op", data })));
  }

  /** One command that joins the set of completed jobs with two of their fields: through Job objects the check would cost more than the run. */
  async readResults(): Promise<number[]> {
    const field = (name: string): string => `${this.#queue.toKey("*")}->${name}`;
    const found = await this.#client.sort(this.#queue.toKey("completed"), {
      BY: "nosort",
      GET: [field("data"), field("returnvalue")],
    });
    const tasks: number[] = [];
    for (let at = 0; at < found.length; at += 2) {
      const [data, result] = [found[at] ?? '""', found[at + 1]];
      tasks.push(result === "null" ? taskOf(JSON.parse(data) as string) : Number.NaN);
    }
    return tasks;
  }

  async close(): Promise<void> {
    await this.#queue.close();
    this.#client.destroy();
  }
}

class BullConsumer implements Consumer {
  readonly #client: Client;
  readonly #worker: Worker<string, null>;
  #handler: Handler = () => null;

  constructor(client: Client, { concurrency }: ConsumerOptions) {
    this.#client = client;
    this.#worker = new Worker<string, null>(QUEUE, (job) => Promise.resolve(this.#handler(job.data)), {
      connection: client,
      concurrency,
      autorun: false,
    });
    this.#worker.on("error", fail);
    this.#worker.on("failed", (_job, problem) => fail(problem));
  }

  async waitUntilReady(): Promise<void> {
    await this.#worker.waitUntilReady();
  }

  start(handler: Handler, completed: (tasks: number) => void): void {
    this.#handler = handler;
    this.#worker.on("completed", () => completed(1));
    this.#worker.run().catch(fail);
  }

  async stop(): Promise<void> {
    await this.#worker.close();
    this.#client.destroy();
  }
}

/** A run in which something went wrong has no speed: the process ends, and its parent tells. */
function fail(problem: Error): never {
  throw problem;
}

async function connected(place: RedisPlace): Promise<Client> {
  const client = clientFor(place);
  await client.connect();
  return client;
}
