/**
 * Holdfast through its broker's contract, as a worker uses it: sessions with heartbeats, leases
 * claimed and outcomes committed in batches. No runner processes, as the other systems have none.
 */
import type { Broker, CommitReply, Lease } from "../../src/broker/contract.ts";
import { MAX_PAGE } from "../../src/broker/limits.ts";
import { type Coordinator, startCoordinator } from "../../src/coordinator/index.ts";
import { silentLogger } from "../../src/telemetry/log.ts";
import { systemClock } from "../../src/util/clock.ts";
import { outcomeOf } from "../drain.ts";
import { tasksWith } from "../work.ts";
import type { Consumer, Handler, Peer, Producer } from "./peer.ts";
import { taskOf } from "./peer.ts";
import { openRedis } from "./open-redis.ts";

const BATCH = 500;
/** Sessions of one consumer, so that the server always has something to do. */
const LANES = 3;
/** For work, and so until a lane sees that it is to stop. */
const WAIT_MS = 200;

const clock = systemClock({ keepAlive: true });

export const holdfast: Peer = {
  system: "holdfast",
  hasConcurrency: false,
  produce: async (place) => new HoldfastProducer(await openRedis(place)),
  consume: async (place) => {
    const consumer = new HoldfastConsumer(await openRedis(place));
    await consumer.openSessions();
    return consumer;
  },
};

class HoldfastProducer implements Producer {
  readonly #broker: Broker;
  readonly #coordinator: Coordinator;
  /** Of the tasks that were added, by execution. */
  readonly #numbers = new Map<string, readonly number[]>();

  constructor(broker: Broker) {
    this.#broker = broker;
    this.#coordinator = startCoordinator({ broker, clock, random: Math.random, logger: silentLogger, holder: "bench" });
  }

  async add(payloads: readonly string[]): Promise<void> {
    const inputs = payloads.map((payload) => JSON.stringify(payload));
    const { executions } = await this.#broker.submit({ submissions: [tasksWith(inputs)] });
    for (const { executionId } of executions) this.#numbers.set(executionId, payloads.map(taskOf));
  }

  async readResults(): Promise<number[]> {
    const tasks: number[] = [];
    for (const [executionId, numbers] of this.#numbers) {
      for (let cursor = 0, done = false; !done;) {
        const page = await this.#broker.readResults({ executionId, cursor, limit: MAX_PAGE });
        for (const { task, result } of page.rows)
          tasks.push((result === "null" ? numbers[task] : undefined) ?? Number.NaN);
        if (page.rows.length === 0 && !page.done) throw new Error(`${executionId} has not ended.`);
        ({ cursor, done } = page);
      }
    }
    return tasks;
  }

  async close(): Promise<void> {
    await this.#coordinator.stop();
    await this.#broker.close();
  }
}

interface Session {
  readonly session: string;
  readonly stopHeartbeat: () => void;
}

class HoldfastConsumer implements Consumer {
  readonly #broker: Broker;
  #sessions: readonly Session[] = [];
  #running: readonly Promise<void>[] = [];
  #isStopping = false;

  constructor(broker: Broker) {
    this.#broker = broker;
  }

  async openSessions(): Promise<void> {
    this.#sessions = await Promise.all(Array.from({ length: LANES }, (_, lane) => this.#openSession(lane)));
  }

  start(handler: Handler, completed: (tasks: number) => void): void {
    this.#running = this.#sessions.map(({ session }) => this.#run({ session, handler, completed }));
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await Promise.all(this.#running);
    for (const { session, stopHeartbeat } of this.#sessions) {
      stopHeartbeat();
      await this.#broker.closeSession({ session, reason: "left" });
    }
    await this.#broker.close();
  }

  async #openSession(lane: number): Promise<Session> {
    const { session, heartbeatMs } = await this.#broker.openSession({
      worker: `bench-${lane}`,
      host: "bench",
      pid: process.pid,
      pools: ["default"],
      capabilities: [],
      slots: BATCH,
    });
    const beat = setInterval(() => void this.#broker.heartbeat({ session, running: 0 }), heartbeatMs);
    return { session, stopHeartbeat: () => clearInterval(beat) };
  }

  async #run({ session, handler, completed }: Lane): Promise<void> {
    let leases: readonly Lease[] = [];
    while (!this.#isStopping) {
      if (leases.length === 0) ({ leases } = await this.#broker.claim({ session, max: BATCH, waitMs: WAIT_MS }));
      if (leases.length === 0) continue;
      const outcomes = leases.map((lease) => {
        const result = handler(JSON.parse(lease.input ?? "") as string);
        return { ...outcomeOf(lease), result: JSON.stringify(result) };
      });
      const reply: CommitReply = await this.#broker.commit({ session, outcomes, claim: { max: BATCH, waitMs: 0 } });
      completed(reply.verdicts.filter((verdict) => verdict === "accepted").length);
      ({ leases } = reply);
    }
  }
}

interface Lane {
  readonly session: string;
  readonly handler: Handler;
  readonly completed: (tasks: number) => void;
}
