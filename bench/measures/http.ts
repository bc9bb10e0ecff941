/** What the server costs: shared state, heartbeats of workers, readers of events. */
import { setTimeout as delay } from "node:timers/promises";
import type { Store } from "../fleet.ts";
import { EventReader, HttpConnection } from "../http-connection.ts";
import { type HttpServer, type ServerUnderTest, withHttpServer } from "../http-server.ts";
import { type Measure, nowMs, type Sample } from "../measure.ts";
import { quantile } from "../statistics.ts";

const API = "/api/v1";
const STORES: readonly Store[] = ["sqlite", "redis"];

const STATE_CLIENTS = 100;
const STATE_ROUNDS = 100;
/** Before them, not counted: a server that has just started compiles its code first. */
const WARM_UP_ROUNDS = 15;
/** Each client rests this long between two operations, so that the queue before the server is no part of the answer. */
const STATE_PAUSE_MS = 50;

export const httpState: Measure = {
  name: "http-state",
  about: "A lock taken, a value written and read, the lock released, over HTTP: 100 clients at once, 100 rounds each.",
  rounds: 3,
  round: async (context) => {
    const samples: Sample[] = [];
    for (const store of STORES) {
      for (const pauseMs of [STATE_PAUSE_MS, 0]) {
        samples.push(...(await withHttpServer(context, { store }, ({ url }) => stateRun(url, store, pauseMs))));
      }
    }
    return samples;
  },
};

const STATE_OPERATIONS = ["lock", "write", "read", "release"] as const;
type StateOperation = (typeof STATE_OPERATIONS)[number];

async function stateRun(url: string, store: Store, pauseMs: number): Promise<Sample[]> {
  const took: Record<StateOperation, number[]> = { lock: [], write: [], read: [], release: [] };
  let isCounted = false;
  const timed = async (operation: StateOperation, ask: () => Promise<string>): Promise<void> => {
    if (pauseMs > 0) await delay(pauseMs * 2 * Math.random());
    const from = nowMs();
    await ask();
    if (isCounted) took[operation].push(nowMs() - from);
  };
  const client = async (no: number, rounds: number): Promise<void> => {
    const connection = await HttpConnection.open(url);
    const lock = `${API}/state/locks/lock-${no}`;
    const value = `${API}/state/values/value-${no}`;
    for (let round = 0; round < rounds; round += 1) {
      const owner = `${no}-${round}-${rounds}`;
      await timed("lock", () => connection.ask("POST", `${lock}/acquire`, { owner, ttlMs: 30_000 }));
      await timed("write", () => connection.ask("PUT", value, { value: { round, text: "x".repeat(100) } }));
      await timed("read", () => connection.ask("GET", value));
      await timed("release", () => connection.ask("POST", `${lock}/release`, { owner }));
    }
    connection.close();
  };
  const clients = (rounds: number): Promise<unknown> =>
    Promise.all(Array.from({ length: STATE_CLIENTS }, (_, no) => client(no, rounds)));
  await clients(WARM_UP_ROUNDS);
  isCounted = true;
  const from = nowMs();
  await clients(STATE_ROUNDS);
  const seconds = (nowMs() - from) / 1_000;
  const setting = `${store}, 100 clients, ${pauseMs > 0 ? `${pauseMs} ms between two operations` : "without a pause"}`;
  return [
    ...STATE_OPERATIONS.flatMap((operation) =>
      [0.5, 0.99].map((share) => ({
        system: "holdfast",
        setting: `${setting}: ${operation}, p${share * 100}`,
        unit: "ms",
        value: quantile(took[operation], share),
      })),
    ),
    {
      system: "holdfast",
      setting,
      unit: "operations/s",
      value: (STATE_CLIENTS * STATE_ROUNDS * STATE_OPERATIONS.length) / seconds,
    },
  ];
}

const WORKERS = 1_000;
const BARE_HEARTBEAT_MS = 2_000;
const HEARTBEAT_RUN_MS = 20_000;
const HEARTBEAT_RUNS: readonly ServerUnderTest[] = [
  { store: "sqlite" },
  { store: "redis" },
  { store: "sqlite", deadAfterMs: 15_000 },
  { store: "bare" },
];
const REGISTERED_AT_ONCE = 50;

export const httpHeartbeats: Measure = {
  name: "http-heartbeats",
  about:
    "Processor time of a server with 1,000 HTTP workers that send heartbeats as often as it asks for, each over its own connection; and of a server that does nothing else.",
  rounds: 3,
  round: async (context) => {
    const samples: Sample[] = [];
    for (const tested of HEARTBEAT_RUNS) {
      samples.push(...(await withHttpServer(context, tested, (server) => heartbeatRun(server, tested))));
    }
    return samples;
  },
};

async function heartbeatRun(server: HttpServer, { store, deadAfterMs }: ServerUnderTest): Promise<Sample[]> {
  const connections: HttpConnection[] = [];
  /** As the server asks for; the bare one is asked as often. */
  let heartbeatMs = BARE_HEARTBEAT_MS;
  const register = async (no: number): Promise<void> => {
    const connection = await HttpConnection.open(server.url);
    const worker = { workerId: `worker-${no}`, hostname: "bench", capabilities: ["cpu"], maxConcurrency: 4 };
    const told = JSON.parse(await connection.ask("POST", `${API}/workers/register`, worker)) as {
      heartbeatMs?: number;
    };
    heartbeatMs = told.heartbeatMs ?? heartbeatMs;
    connections[no] = connection;
  };
  // In groups, so that the first is not silent for too long when the last has come.
  for (let first = 0; first < WORKERS; first += REGISTERED_AT_ONCE) {
    await Promise.all(Array.from({ length: REGISTERED_AT_ONCE }, (_, at) => register(first + at)));
  }
  const before = { ...(await server.usage()), store: await server.storeProcessorUs(), at: nowMs() };
  const tookMs: number[] = [];
  const beat = async (connection: HttpConnection, no: number): Promise<void> => {
    const first = before.at + (no / WORKERS) * heartbeatMs;
    for (let beats = 0; beats * heartbeatMs < HEARTBEAT_RUN_MS; beats += 1) {
      await delay(Math.max(0, first + beats * heartbeatMs - nowMs()));
      const from = nowMs();
      await connection.ask("POST", `${API}/workers/worker-${no}/heartbeat`, { currentLoad: 0 });
      tookMs.push(nowMs() - from);
    }
  };
  await Promise.all(connections.map(beat));
  const after = { ...(await server.usage()), store: await server.storeProcessorUs(), at: nowMs() };
  for (const connection of connections) connection.close();
  const share = (usedUs: number): number => (100 * usedUs) / (1_000 * (after.at - before.at));
  const patience = deadAfterMs === undefined ? "" : `dead after ${deadAfterMs / 1_000} s, `;
  const setting = `${store === "bare" ? "" : `${store}, ${patience}`}1,000 workers, a heartbeat every ${heartbeatMs / 1_000} s each`;
  const row = (what: string, unit: string, value: number): Sample => ({
    system: store === "bare" ? "bare node:http" : "holdfast",
    setting: `${setting}: ${what}`,
    unit,
    value,
  });
  return [
    row("server", "% of a core", share(after.processorUs - before.processorUs)),
    ...(after.store === undefined || before.store === undefined
      ? []
      : [row("Redis", "% of a core", share(after.store - before.store))]),
    row("answer, p99", "ms", quantile(tookMs, 0.99)),
  ];
}

const READERS = 500;
const EVENTS = 2_000;
const EVENTS_PER_SECOND = 200;

export const httpEvents: Measure = {
  name: "http-events",
  about:
    "What 500 readers of the stream of all events cost a server: memory while nothing happens, processor time per event and reader.",
  rounds: 3,
  round: (context) => withHttpServer(context, { store: "sqlite" }, eventsRun),
};

async function eventsRun(server: HttpServer): Promise<Sample[]> {
  const steering = await HttpConnection.open(server.url);
  const submitted = await steering.ask("POST", `${API}/executions`, {
    name: "told",
    groups: [{ name: "t", handler: {}, work: { kind: "tasks", inputs: [1] } }],
  });
  const { executionId } = JSON.parse(submitted) as { readonly executionId: string };
  const change = (at: number): Promise<string> =>
    steering.ask("POST", `${API}/executions/${executionId}/${at % 2 === 0 ? "pause" : "resume"}`);
  /** Pausing and resuming in turn: one event each. */
  const tell = async (): Promise<number> => {
    const from = { ...(await server.usage()), at: nowMs() };
    for (let at = 0; at < EVENTS; at += 1) {
      await delay(Math.max(0, from.at + (at * 1_000) / EVENTS_PER_SECOND - nowMs()));
      await change(at);
    }
    return (await server.usage()).processorUs - from.processorUs;
  };
  const aloneUs = await tell();
  const alone = await server.usage();
  const readers = await Promise.all(
    Array.from({ length: READERS }, () => EventReader.open(server.url, `${API}/events?cursor=now`)),
  );
  await delay(1_000);
  const idle = await server.usage();
  const togetherUs = await tell();
  for (let patience = 0; patience < 100 && readers.some(({ events }) => events < EVENTS); patience += 1)
    await delay(50);
  const short = readers.filter(({ events }) => events !== EVENTS);
  if (short.length > 0) throw new Error(`${short.length} readers did not hear each of ${EVENTS} events once.`);
  for (const reader of readers) reader.close();
  steering.close();
  const setting = `sqlite, 500 readers, ${EVENTS_PER_SECOND} events a second`;
  return [
    {
      system: "holdfast",
      setting: `${setting}: memory per reader`,
      unit: "KiB",
      value: (idle.residentBytes - alone.residentBytes) / READERS / 1_024,
    },
    {
      system: "holdfast",
      setting: `${setting}: processor time per event and reader`,
      unit: "µs",
      value: (togetherUs - aloneUs) / READERS / EVENTS,
    },
  ];
}
