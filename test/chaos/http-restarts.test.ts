/**
 * Servers that are killed and started again under workers: real worker processes over a WebSocket,
 * and workers that know nothing but the HTTP API, on SQLite behind one server and on Redis behind one or two.
 *
 * Nobody is told anything. The workers find a server again by themselves and go on with what they
 * run: each task runs once and its result is committed once, and as long as a server is back before
 * `deadAfterMs` no attempt is lost, however often servers die under it.
 *
 * CHAOS_SERVER_KILLS sets the kills (default 3).
 */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { type OpenedClient, openClient } from "../../src/app/open-client.ts";
import { defaultSettings } from "../../src/config/index.ts";
import { batch } from "../../src/sdk/batch.ts";
import { Client } from "../../src/sdk/client.ts";
import { silentLogger } from "../../src/telemetry/log.ts";
import { sleep, systemClock } from "../../src/util/clock.ts";
import { cliFolder } from "../fixtures/cli/cli-process.ts";
import { cleanups, eventually } from "../fixtures/sdk/scratch.ts";
import { traces } from "../fixtures/server/tasks.ts";
import { HttpLoopWorker } from "../support/http-loop-worker.ts";
import { type ServerProcess, startServerProcesses } from "../support/http-server-processes.ts";
import { startRedis } from "../support/redis-server.ts";
import { group, submission, tasks } from "../support/submissions.ts";

const KILLS = Number(process.env["CHAOS_SERVER_KILLS"] ?? 3);
const WORKERS = 2;
const HTTP_WORKERS = 2;
const HTTP_POOL = "over-http";
const TASKS = 20;
const TASK_MS = 30;
/** A server is away for this and its start, which on a busy machine takes longer than workers may be silent by default. */
const AWAY_MS = 100;
const ENVIRONMENT = { HOLDFAST_DEAD_AFTER_MS: "15s" };
const BETWEEN_MS = 1_000;
/** Longer than a worker waits for a sign of its server, shorter than it is taken for dead itself. */
const STOPPED_MS = 4_500;
const PAGE = 1_000;
const CLOCK = systemClock({ keepAlive: true });

interface Run {
  readonly id: string;
  readonly attempt: number;
}

/** Which servers there are, and how many of them workers and programs know and are killed. */
const PLACES = {
  sqlite: { store: "sqlite", count: 1, known: 1 },
  "redis, two servers": { store: "redis", count: 2, known: 2 },
  // The other one goes on judging who is dead while theirs is away.
  "redis, one of two servers": { store: "redis", count: 2, known: 1 },
} as const;

for (const [place, where] of Object.entries(PLACES)) {
  test(
    `each task runs once when its server is killed ${KILLS} times (${place})`,
    { timeout: 90_000 + KILLS * 15_000 },
    async (t) => {
      const servers = await startServers(t, where);
      const trace = path.join(servers.folder, "trace");
      const httpRuns = new Map<string, number>();
      const workers = await startWorkers(t, { servers, httpRuns });
      const program = await openProgram(t, addressOf(servers));

      const lasting = await program.client.submit(batch(traces, [{ trace, id: "lasting", forMs: KILLS * 1_000 }]));
      await eventually("a worker runs what lasts", () => tracedRuns(trace).length > 0);
      const over = new AbortController();
      const fed = feed(program, { trace, over: over.signal });
      fed.catch(() => over.abort());
      for (let kill = 0; kill < KILLS && !over.signal.aborted; kill += 1) {
        await sleep(CLOCK, BETWEEN_MS);
        const victim = servers.known[kill % servers.known.length];
        await victim?.kill();
        await sleep(CLOCK, AWAY_MS);
        await victim?.restart();
      }
      over.abort();
      const { ours, theirs } = await fed;
      for (const executionId of [lasting.id, ...ours, ...theirs]) await endedWell(program, executionId);
      await Promise.all(workers.map((worker) => worker.stop()));

      const runs = tracedRuns(trace);
      assert.deepEqual(repeated(runs.map(({ id }) => id)), [], "no task of a worker process ran twice");
      assert.equal(runs.length, 1 + ours.length * TASKS);
      assert.ok(runs.every(({ attempt }) => attempt === 1));
      assert.ok(
        [...httpRuns.values()].every((times) => times === 1),
        "no task of an HTTP worker ran twice",
      );
      assert.equal(httpRuns.size, theirs.length * TASKS);
      const sum = (count: (worker: HttpLoopWorker) => number): number =>
        workers.reduce((total, worker) => total + count(worker), 0);
      assert.equal(
        sum((worker) => worker.lateOutcomes),
        0,
      );
      assert.equal(
        sum((worker) => worker.registrations),
        HTTP_WORKERS,
        "nobody had to register again",
      );
      t.diagnostic(
        `${KILLS} kills; ${runs.length} tasks of worker processes and ${httpRuns.size} of HTTP workers, each once, ` +
          `no lost attempt; ${sum((worker) => worker.resent)} calls of HTTP workers were sent again`,
      );
    },
  );
}

test("a server that is stopped loses its workers to the other one, and takes nothing from them when it wakes", async (t) => {
  const servers = await startServers(t, PLACES["redis, two servers"]);
  const trace = path.join(servers.folder, "trace");
  const workers = await startWorkers(t, { servers, httpRuns: new Map() });
  const program = await openProgram(t, addressOf(servers));
  // Longer than both stops, whichever server a worker is connected to.
  const forMs = 2 * STOPPED_MS + BETWEEN_MS;
  const lasting = await program.client.submit(
    batch(
      traces,
      Array.from({ length: WORKERS }, (_, no) => ({ trace, id: `lasting-${no}`, forMs })),
    ),
  );
  await eventually("all workers run", () => tracedRuns(trace).length === WORKERS);
  for (const server of servers.known) {
    server.signal("SIGSTOP");
    await sleep(CLOCK, STOPPED_MS);
    server.signal("SIGCONT");
  }
  await endedWell(program, lasting.id);
  assert.equal(tracedRuns(trace).length, WORKERS);
  await Promise.all(workers.map((worker) => worker.stop()));
});

/** Servers, and those of them that workers and programs know. */
interface Servers {
  readonly folder: string;
  readonly known: readonly ServerProcess[];
}

async function startServers(t: TestContext, where: (typeof PLACES)[keyof typeof PLACES]): Promise<Servers> {
  const { store, count, known } = where;
  if (store === "sqlite") {
    const { folder, servers } = await startServerProcesses(t, { environment: ENVIRONMENT });
    return { folder, known: servers };
  }
  const cleanup = cleanups(t);
  const redis = await startRedis({ appendonly: "everysec" });
  cleanup(() => redis.stop());
  const { folder, servers } = await startServerProcesses(t, { count, broker: redis.url, environment: ENVIRONMENT });
  return { folder, known: servers.slice(0, known) };
}

function addressOf({ known }: Servers): string {
  return known.map(({ url }) => url).join(",");
}

interface Crew {
  readonly servers: Servers;
  /** How often each task of an HTTP worker ran. */
  readonly httpRuns: Map<string, number>;
}

/** Worker processes, and workers over HTTP; the latter are handed out. */
async function startWorkers(t: TestContext, { servers, httpRuns }: Crew): Promise<readonly HttpLoopWorker[]> {
  const folder = await cliFolder({ HOLDFAST_BROKER: addressOf(servers), HOLDFAST_GRACE_MS: "500ms" });
  t.after(() => folder.remove());
  const started = Array.from({ length: WORKERS }, (_, no) => folder.start("worker", "--name", `w${no}`));
  await Promise.all(started.map((worker) => worker.printed(/Worker w\d/)));
  const urls = servers.known.map(({ url }) => url);
  const overHttp = Array.from(
    { length: HTTP_WORKERS },
    (_, no) =>
      new HttpLoopWorker({
        id: `h${no}`,
        pool: HTTP_POOL,
        urls,
        run: async ({ executionId, task }) => {
          const id = `${executionId}/${task}`;
          httpRuns.set(id, (httpRuns.get(id) ?? 0) + 1);
          await sleep(CLOCK, TASK_MS);
          return id;
        },
      }),
  );
  t.after(() => Promise.all(overHttp.map((worker) => worker.abandon())));
  return overHttp;
}

interface Program extends OpenedClient {
  readonly client: Client;
}

/** Speaks to the servers as programs do: over HTTP, to any of them. */
async function openProgram(t: TestContext, address: string): Promise<Program> {
  const opened = await openClient(address, { settings: defaultSettings(), logger: silentLogger });
  const client = new Client({ broker: opened.broker });
  cleanups(t)(() => client.close());
  return { ...opened, client };
}

/** Submits work for both kinds of workers for as long as it is told to, and waits for it. */
async function feed(
  { client, broker }: Program,
  { trace, over }: { readonly trace: string; readonly over: AbortSignal },
): Promise<{ readonly ours: readonly string[]; readonly theirs: readonly string[] }> {
  const ours: string[] = [];
  const theirs: string[] = [];
  while (!over.aborted) {
    const inputs = Array.from({ length: TASKS }, (_, no) => ({ trace, id: `${ours.length}-${no}`, forMs: TASK_MS }));
    const own = await client.submit(batch(traces, inputs));
    ours.push(own.id);
    const work = group(tasks(TASKS), { pool: HTTP_POOL });
    const { executions } = await broker.submit({ submissions: [submission([work])] });
    const [receipt] = executions;
    assert.ok(receipt !== undefined);
    theirs.push(receipt.executionId);
    await own.wait();
    await (await client.get(receipt.executionId)).wait();
  }
  return { ours, theirs };
}

/** Everything completed, each result there once, nothing lost on the way. */
async function endedWell({ client, broker }: Program, executionId: string): Promise<void> {
  const execution = await client.get(executionId);
  const { state, counters, lostAttempts, refusedOutcomes } = await execution.wait();
  assert.deepEqual([state, counters.completed, lostAttempts, refusedOutcomes], ["completed", counters.total, 0, 0]);
  const { rows } = await broker.readResults({ executionId, limit: PAGE });
  assert.deepEqual(repeated(rows.map(({ task }) => String(task))), []);
  assert.equal(rows.length, counters.total);
}

function tracedRuns(trace: string): readonly Run[] {
  if (!existsSync(trace)) return [];
  const lines = readFileSync(trace, "utf8").split("\n").slice(0, -1);
  return lines.map((line) => {
    const [id = "", attempt] = line.split(" ");
    return { id, attempt: Number(attempt) };
  });
}

function repeated(names: readonly string[]): readonly string[] {
  const seen = new Set<string>();
  return names.filter((name) => seen.size === seen.add(name).size);
}
