/**
 * A server speaks for a hosted worker. When it dies, the worker lives on and is served by another server
 * on the same Redis; only its silence, or who knows better, ends its session.
 */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { describe, it, type TestContext } from "node:test";
import { createClient } from "@redis/client";
import type { Broker } from "../../../src/broker/contract.ts";
import { openRedisBroker } from "../../../src/broker/redis/index.ts";
import { systemClock } from "../../../src/util/clock.ts";
import { eventually } from "../../fixtures/sdk/scratch.ts";
import { done, refOf } from "../../support/outcomes.ts";
import { sharedRedis } from "../../support/redis-server.ts";
import { seededRandom } from "../../support/seeded-random.ts";
import { batch } from "../../support/submissions.ts";

const HOSTED = {
  worker: "remote-1",
  host: "far-away",
  pid: 1,
  pools: ["default"],
  capabilities: [],
  slots: 2,
  hosted: true,
} as const;
const DEAD_AFTER_MS = 5_000;

let namespaces = 0;

/** Several brokers, as so many servers would hold them, on one namespace with a clock that the test moves. */
class Servers {
  readonly #namespace: string;
  readonly #t: TestContext;
  #now = 1_800_000_000_000;

  constructor(t: TestContext) {
    namespaces += 1;
    this.#namespace = `hosted-${namespaces}`;
    this.#t = t;
  }

  async open(): Promise<Broker> {
    const { host, port } = await sharedRedis();
    const broker = await openRedisBroker({
      target: { mode: "standalone", nodes: [{ host, port }], db: 0 },
      namespace: this.#namespace,
      clock: systemClock({ keepAlive: true }),
      random: seededRandom(1),
      newId: () => randomUUID(),
      time: () => this.#now,
      settings: { deadAfterMs: DEAD_AFTER_MS },
    });
    this.#t.after(() => broker.close());
    return broker;
  }

  async raw(command: string, key: string, ...args: readonly string[]): Promise<unknown> {
    return (await sharedRedis()).command(command, this.key(key), ...args);
  }

  key(name: string): string {
    return `{${this.#namespace}:0}:${name}`;
  }

  advance(ms: number): void {
    this.#now += ms;
  }
}

/** Time goes by, and the sessions are looked after as a coordinator does it. */
async function watch(servers: Servers, broker: Broker, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 200) {
    servers.advance(200);
    await broker.reapSessions({ limit: 100 });
  }
}

async function stateOf(broker: Broker, session: string): Promise<string | undefined> {
  return (await broker.listSessions({ limit: 10 })).sessions.find((one) => one.session === session)?.state;
}

describe("a hosted session", () => {
  it("outlives its server: another one goes on with its leases", async (t) => {
    const servers = new Servers(t);
    const [first, second] = [await servers.open(), await servers.open()];
    const { session } = await first.openSession(HOSTED);
    const [receipt] = (await first.submit({ submissions: [batch(3)] })).executions;
    const { leases } = await first.claim({ session, max: 2, waitMs: 0 });
    const [one, two] = leases;
    assert.ok(receipt !== undefined && one !== undefined && two !== undefined);
    await first.close();
    await watch(servers, second, 2_000);
    assert.equal(await stateOf(second, session), "live");
    await second.heartbeat({ session, running: 2 });
    const reply = await second.commit({ session, outcomes: [done(one)], claim: { max: 1, waitMs: 0 } });
    assert.deepEqual([reply.verdicts, reply.leases.length], [["accepted"], 1]);
    const { returned, lost } = await second.reconcile({ session, held: [refOf(two)] });
    assert.deepEqual([returned, lost], [1, []]);
    const rest = await second.claim({ session, max: 5, waitMs: 0 });
    await second.commit({ session, outcomes: [two, ...rest.leases].map(done) });
    const view = await second.getExecution({ executionId: receipt.executionId });
    assert.deepEqual([view.state, view.lostAttempts], ["completed", 0]);
  });

  it("ends by its silence, and its work goes to others", async (t) => {
    const servers = new Servers(t);
    const [first, second] = [await servers.open(), await servers.open()];
    const { session } = await first.openSession(HOSTED);
    await first.submit({ submissions: [batch(1)] });
    assert.equal((await first.claim({ session, max: 1, waitMs: 0 })).leases.length, 1);
    await first.close();
    await watch(servers, second, DEAD_AFTER_MS - 200);
    assert.equal(await stateOf(second, session), "live");
    await watch(servers, second, 600);
    assert.equal(await stateOf(second, session), "lost");
    const heir = await second.openSession({ ...HOSTED, worker: "heir" });
    const [lease] = (await second.claim({ session: heir.session, max: 1, waitMs: 0 })).leases;
    assert.equal(lease?.attempt, 2);
  });

  it("is not taken for one that is connected itself: that one dies with its connection", async (t) => {
    const servers = new Servers(t);
    const [first, second] = [await servers.open(), await servers.open()];
    const { hosted: _, ...direct } = HOSTED;
    const { session } = await first.openSession(direct);
    await first.close();
    await watch(servers, second, 1_000);
    assert.equal(await stateOf(second, session), "lost");
  });

  it("is sent nothing when the server that waited with it is gone", async (t) => {
    const servers = new Servers(t);
    const [first, second] = [await servers.open(), await servers.open()];
    const { session } = await first.openSession(HOSTED);
    const waiting = first.claim({ session, max: 1, waitMs: 20_000 });
    await eventually("the session waits", async () => (await servers.raw("ZCARD", "pool:default:idle")) === 1);
    await first.close();
    await waiting.catch(() => undefined);
    // The second server knows the session already, but does not wait with it.
    await second.heartbeat({ session, running: 0 });
    await second.submit({ submissions: [batch(1)] });
    assert.equal((await second.listSessions({ limit: 10 })).sessions[0]?.leases, 0);
    assert.equal((await second.claim({ session, max: 1, waitMs: 0 })).leases.length, 1);
  });

  it("gives back by reconciling what a server was sent that died before it could tell", async (t) => {
    const servers = new Servers(t);
    const [first, second] = [await servers.open(), await servers.open()];
    const { session } = await first.openSession(HOSTED);
    const { url } = await sharedRedis();
    const ghost = createClient({ url, RESP: 2 });
    await ghost.connect();
    t.after(() => ghost.destroy());
    let sent = 0;
    await ghost.subscribe(servers.key("process:ghost"), () => (sent += 1));
    const wants = ["wantsLeases", "1", "wantsAgeingMs", "30000", "wantsFor", "ghost"];
    await servers.raw("HSET", `session:${session}`, ...wants);
    await servers.raw("ZADD", "pool:default:idle", "0", session);
    await first.close();
    await second.submit({ submissions: [batch(1)] });
    await eventually("the lease was sent", () => sent === 1);
    assert.deepEqual(await second.reconcile({ session, held: [] }), { returned: 1, lost: [] });
    const [lease] = (await second.claim({ session, max: 1, waitMs: 0 })).leases;
    assert.equal(lease?.attempt, 1);
  });

  it("may be served by two servers in turn: neither gives back what came over the other", async (t) => {
    const servers = new Servers(t);
    const [first, second] = [await servers.open(), await servers.open()];
    const { session } = await first.openSession(HOSTED);
    await first.claim({ session, max: 1, waitMs: 0 });
    const waiting = second.claim({ session, max: 1, waitMs: 20_000 });
    await eventually("the session waits", async () => (await servers.raw("ZCARD", "pool:default:idle")) === 1);
    await first.submit({ submissions: [batch(1)] });
    const { leases } = await waiting;
    const [lease] = leases;
    assert.ok(lease !== undefined);
    // Whatever the first server makes of the news, it has made by the time that it answers.
    for (let call = 0; call < 5; call += 1) await first.heartbeat({ session, running: 1 });
    assert.equal((await first.listSessions({ limit: 10 })).sessions[0]?.leases, 1);
    assert.deepEqual((await first.commit({ session, outcomes: [done(lease)] })).verdicts, ["accepted"]);
  });

  it("that has ended over one server is forgotten by the others", { timeout: 60_000 }, async (t) => {
    const servers = new Servers(t);
    const [first, second] = [await servers.open(), await servers.open()];
    const { session } = await first.openSession(HOSTED);
    await second.closeSession({ session, reason: "left" });
    const listeners = async (): Promise<number> => {
      const server = await sharedRedis();
      const [, count] = (await server.command("PUBSUB", "NUMSUB", servers.key(`session:${session}`))) as [
        string,
        number,
      ];
      return count;
    };
    await eventually("nobody listens for it any more", async () => (await listeners()) === 0);
  });
});
