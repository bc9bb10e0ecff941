/** After a crash of its host a client goes on: its sessions live, nothing is stranded, nothing done twice. */
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import type { Broker, LeaseRef, ReconcileParams } from "../../../src/broker/contract.ts";
import { HoldfastError } from "../../../src/errors/index.ts";
import { PendingCall } from "../../support/pending-call.ts";
import { seededRandom } from "../../support/seeded-random.ts";
import { completed, MortalHosts, workUntil } from "./mortal-host.ts";
import { Belongings, eventually, gate, TinyBroker } from "./support.ts";

const belongings = new Belongings();
afterEach(() => belongings.end());

const profile = { worker: "w", host: "h", pid: 1, pools: ["default"], capabilities: [], slots: 1 };

interface Scene {
  readonly tiny: TinyBroker;
  readonly hosts: MortalHosts;
  readonly client: Broker;
  readonly session: string;
}

/** A client with a session at a host that can die. */
async function scene(options: Parameters<typeof MortalHosts.start>[2] = {}): Promise<Scene> {
  const tiny = new TinyBroker();
  const hosts = await MortalHosts.start(belongings, tiny, options);
  const { client } = hosts;
  const { session } = await client.openSession(profile);
  return { tiny, hosts, client, session };
}

/** What a host was told by reconcile. */
function recording(tiny: () => TinyBroker): { readonly told: ReconcileParams[]; readonly changes: Partial<Broker> } {
  const told: ReconcileParams[] = [];
  const reconcile: Broker["reconcile"] = (params) => {
    told.push(params);
    return tiny().broker.reconcile(params);
  };
  return { told, changes: { reconcile } };
}

function refusing(code: "STORE_FAILED" | "INVALID_REQUEST"): Broker["reconcile"] {
  const details = { method: "reconcile", path: "", problem: "not now", file: "" };
  return () => Promise.reject(new HoldfastError(code, details));
}

test("a host dies between a grant and its reply: the session lives, and the worker notices nothing", async () => {
  const { tiny, hosts, client, session } = await scene();
  tiny.add(4);
  const [one, running] = (await client.claim({ session, max: 2, waitMs: 0 })).leases;
  assert.ok(one !== undefined && running !== undefined);
  // The host grants two more leases and accepts an outcome, but dies before it can say so.
  hosts.deafen();
  const commit = client.commit({ session, outcomes: [completed(one)], claim: { max: 1, waitMs: 0 } });
  const claim = client.claim({ session, max: 1, waitMs: 0 });
  await tiny.until(() => tiny.held.size === 3 && tiny.completions.has(0));
  await hosts.crash();
  const reply = await commit;
  assert.deepEqual([reply.verdicts, reply.leases], [["accepted"], []]);
  const [granted] = (await claim).leases;
  assert.ok(granted !== undefined);
  // What was granted and never told went back; one of the two was granted anew.
  assert.deepEqual([new Set(tiny.returned), tiny.lost], [new Set([2, 3]), []]);
  assert.deepEqual(
    [...tiny.held.values()].map(({ lease }) => lease.token).toSorted(),
    [running.token, granted.token].toSorted(),
  );
  // The attempt that ran all the time counts, and all is done once.
  assert.deepEqual((await client.commit({ session, outcomes: [completed(running), completed(granted)] })).verdicts, [
    "accepted",
    "accepted",
  ]);
  const { leases } = await client.claim({ session, max: 5, waitMs: 0 });
  assert.deepEqual((await client.commit({ session, outcomes: leases.map(completed) })).verdicts, ["accepted"]);
  assert.deepEqual(tiny.completions, new Map([0, 1, 2, 3].map((task) => [task, 1])));
  assert.equal(tiny.sessions.get(session), "live");
});

test("a claim that waits at a host that dies goes on waiting at the next", async () => {
  const { tiny, hosts, client, session } = await scene();
  const claim = new PendingCall(client.claim({ session, max: 1, waitMs: 20_000 }));
  const before = hosts.connections;
  await hosts.crash();
  await eventually(() => hosts.connections > before);
  assert.equal((await client.heartbeat({ session, running: 0 })).drain, false);
  assert.equal(claim.state, "waiting");
  tiny.add(1);
  assert.equal((await claim.promise).leases.length, 1);
});

test("what a session knows of is told exactly: without what was answered, stopped or never heard", async () => {
  const tinies: TinyBroker[] = [];
  const { told, changes } = recording(() => tinies[0] as TinyBroker);
  const stopped: LeaseRef[] = [];
  const heartbeat: Broker["heartbeat"] = async () => ({ cancel: stopped, drain: false });
  const { tiny, hosts, client, session } = await scene({ changes: { ...changes, heartbeat } });
  tinies.push(tiny);
  tiny.add(6);
  const { leases } = await client.claim({ session, max: 5, waitMs: 0 });
  const [done, returned, cancelled, ...running] = leases;
  assert.ok(done !== undefined && returned !== undefined && cancelled !== undefined);
  const { executionId, task, token } = returned;
  await client.commit({
    session,
    outcomes: [completed(done), { kind: "returned", lease: { executionId, task, token } }],
  });
  stopped.push({ executionId, task: cancelled.task, token: cancelled.token });
  await client.heartbeat({ session, running: 3 });
  hosts.deafen();
  const claim = client.claim({ session, max: 1, waitMs: 0 });
  await tiny.until(() => tiny.held.size === 4);
  await hosts.crash();
  await claim;
  const held = running.map((lease) => ({ executionId, task: lease.task, token: lease.token }));
  assert.deepEqual(told, [{ session, held }]);
  await client.closeSession({ session, reason: "left" });
  await hosts.crash();
  await client.openSession(profile);
  assert.equal(told.length, 1, "a closed session is told no more");
});

test("without a claim in doubt a session is compared all the same, and is told what it has lost", async () => {
  const { tiny, hosts, client, session } = await scene();
  tiny.add(2);
  const { leases } = await client.claim({ session, max: 2, waitMs: 0 });
  const [kept, gone] = leases;
  assert.ok(kept !== undefined && gone !== undefined);
  // As after a power cut: the grant was not on the disk. Or the lease was revoked, and the order died with the host.
  tiny.held.delete(gone.token);
  await hosts.crash();
  await eventually(() => hosts.connections === 2);
  const order = { executionId: gone.executionId, task: gone.task, token: gone.token };
  let beat = await client.heartbeat({ session, running: 2 });
  while (beat.cancel.length === 0) beat = await client.heartbeat({ session, running: 2 });
  assert.deepEqual(beat.cancel, [order]);
  assert.deepEqual((await client.heartbeat({ session, running: 1 })).cancel, [], "it is told once");
  assert.deepEqual((await client.commit({ session, outcomes: [completed(kept), completed(gone)] })).verdicts, [
    "accepted",
    "refused",
  ]);
});

test("an outcome whose answer was lost is no order to stop", async () => {
  const { tiny, hosts, client, session } = await scene();
  tiny.add(1);
  const { leases } = await client.claim({ session, max: 1, waitMs: 0 });
  hosts.deafen();
  const commit = client.commit({ session, outcomes: leases.map(completed), claim: { max: 1, waitMs: 0 } });
  await tiny.until(() => tiny.completions.has(0));
  await hosts.crash();
  assert.deepEqual((await commit).verdicts, ["accepted"]);
  assert.deepEqual((await client.claim({ session, max: 1, waitMs: 0 })).cancel, []);
  assert.deepEqual((await client.heartbeat({ session, running: 0 })).cancel, []);
});

test("only a session that is lost is told so, by the claim that waited", async () => {
  const { tiny, hosts, client, session } = await scene();
  const claim = client.claim({ session, max: 1, waitMs: 20_000 });
  const other = await client.openSession(profile);
  const otherClaim = new PendingCall(client.claim({ session: other.session, max: 1, waitMs: 20_000 }));
  tiny.sessions.set(session, "lost");
  const lost = assert.rejects(claim, { code: "SESSION_LOST" });
  await hosts.crash();
  await lost;
  await assert.rejects(client.claim({ session, max: 1, waitMs: 0 }), { code: "SESSION_LOST" });
  assert.equal(otherClaim.state, "waiting");
  tiny.add(1);
  assert.equal((await otherClaim.promise).leases.length, 1);
});

test("while a session is compared its claims wait, and nothing else does", async () => {
  const { tiny, hosts, client, session } = await scene();
  tiny.add(3);
  const { leases } = await client.claim({ session, max: 2, waitMs: 0 });
  const [first, second] = leases;
  assert.ok(first !== undefined && second !== undefined);
  const answer = gate();
  let asked = 0;
  await hosts.crash({
    reconcile: async (params) => {
      asked += 1;
      await answer.opened;
      return tiny.broker.reconcile(params);
    },
  });
  await eventually(() => asked === 1);
  const claim = new PendingCall(client.claim({ session, max: 1, waitMs: 0 }));
  const both = new PendingCall(client.commit({ session, outcomes: [completed(second)], claim: { max: 1, waitMs: 0 } }));
  assert.deepEqual((await client.commit({ session, outcomes: [completed(first)] })).verdicts, ["accepted"]);
  await client.heartbeat({ session, running: 1 });
  assert.deepEqual([claim.state, both.state, tiny.held.size], ["waiting", "waiting", 1]);
  answer.open();
  const replies = [await claim.promise, await both.promise];
  assert.deepEqual(
    replies.flatMap((reply) => reply.leases.map((lease) => lease.task)),
    [2],
  );
  assert.deepEqual([tiny.returned, tiny.completions.size], [[], 2]);
});

test("a crash during the repair only makes it begin again", async () => {
  const { tiny, hosts, client, session } = await scene();
  tiny.add(3);
  const { leases } = await client.claim({ session, max: 1, waitMs: 0 });
  hosts.deafen();
  const claim = client.claim({ session, max: 1, waitMs: 0 });
  await tiny.until(() => tiny.held.size === 2);
  const never = new Promise<never>(() => undefined);
  for (let crashes = 1; crashes <= 3; crashes += 1) {
    let asked = 0;
    await hosts.crash({ reconcile: () => ((asked += 1), never) });
    await eventually(() => asked === 1);
  }
  await hosts.crash();
  assert.equal((await claim).leases.length, 1);
  assert.deepEqual([tiny.returned.length, tiny.held.size], [1, 2]);
  assert.deepEqual((await client.commit({ session, outcomes: leases.map(completed) })).verdicts, ["accepted"]);
});

test("a repair outlives a host that refuses the client", async () => {
  const { tiny, hosts, client, session } = await scene();
  tiny.add(1);
  hosts.deafen();
  const claim = client.claim({ session, max: 1, waitMs: 0 });
  const refused = assert.rejects(claim, { code: "UNAUTHORIZED" });
  await tiny.until(() => tiny.held.size === 1);
  let asked = 0;
  await hosts.crash({ reconcile: () => new Promise<never>(() => (asked += 1)) });
  await eventually(() => asked === 1);
  await hosts.crashToStranger();
  await refused;
  await hosts.crash();
  const again = await client.claim({ session, max: 1, waitMs: 0 });
  assert.deepEqual([again.leases.length, tiny.returned, tiny.held.size], [1, [0], 1]);
});

test("a host that cannot compare now is asked again", async () => {
  const { tiny, hosts, client, session } = await scene();
  const claim = client.claim({ session, max: 1, waitMs: 20_000 });
  let asked = 0;
  await hosts.crash({
    reconcile: (params) => {
      asked += 1;
      return asked < 3 ? refusing("STORE_FAILED")(params) : tiny.broker.reconcile(params);
    },
  });
  tiny.add(1);
  assert.equal((await claim).leases.length, 1);
  assert.equal(asked, 3);
});

test("a host that never can: a session in doubt is given up, one without doubt goes on", async () => {
  const { tiny, hosts, client, session } = await scene();
  tiny.add(2);
  const sure = await client.openSession(profile);
  const { leases } = await client.claim({ session: sure.session, max: 1, waitMs: 0 });
  hosts.deafen();
  const claim = client.claim({ session, max: 1, waitMs: 0 });
  await tiny.until(() => tiny.held.size === 2);
  const lost = assert.rejects(claim, { code: "SESSION_LOST" });
  await hosts.crash({ reconcile: refusing("INVALID_REQUEST") });
  await lost;
  await tiny.until(() => tiny.sessions.get(session) === "left");
  assert.deepEqual([tiny.returned, tiny.lost], [[1], []]);
  const reply = await client.commit({
    session: sure.session,
    outcomes: leases.map(completed),
    claim: { max: 1, waitMs: 0 },
  });
  assert.deepEqual([reply.verdicts, reply.leases.length], [["accepted"], 1]);
});

test("a claim that its caller has given up strands nothing either", async () => {
  const { tiny, hosts, client, session } = await scene({ client: { requestTimeoutMs: 1 } });
  tiny.add(1);
  hosts.deafen();
  await assert.rejects(client.claim({ session, max: 1, waitMs: 0 }), { code: "BROKER_TIMEOUT" });
  assert.equal(tiny.held.size, 1);
  await hosts.crash();
  await tiny.until(() => tiny.held.size === 0);
  assert.deepEqual([tiny.returned, tiny.sessions.get(session)], [[0], "live"]);
});

test("a host that ends in order leaves nothing in doubt, and its sessions are compared as well", async () => {
  const tiny = new TinyBroker();
  const { told, changes } = recording(() => tiny);
  const first = await belongings.serve(tiny.broker);
  let { url } = first;
  const client = await belongings.connect(() => url);
  const { session } = await client.openSession(profile);
  const idle = await client.openSession(profile);
  tiny.add(1);
  const { leases } = await client.claim({ session, max: 1, waitMs: 0 });
  ({ url } = await belongings.serve({ ...tiny.broker, ...changes }));
  await first.close();
  await client.claim({ session: idle.session, max: 1, waitMs: 0 });
  assert.deepEqual(
    (await client.commit({ session, outcomes: leases.map(completed), claim: { max: 1, waitMs: 0 } })).verdicts,
    ["accepted"],
  );
  assert.deepEqual(
    told.map((params) => [params.session, params.held.length]),
    [[session, 1]],
  );
});

test("however often hosts die, each task is completed once and no session is lost", async (t) => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  t.diagnostic(`seed ${seed}`);
  const random = seededRandom(seed);
  const { tiny, hosts, client, session } = await scene();
  const total = 2_000;
  tiny.add(total);
  const sessions = [session, (await client.openSession(profile)).session, (await client.openSession(profile)).session];
  const isDone = (): boolean => tiny.completions.size === total;
  const working = Promise.all(sessions.map((one) => workUntil(client, one, isDone)));
  let crashes = 0;
  for (; !isDone() && crashes < 40; crashes += 1) {
    for (let turn = Math.floor(random() * 40); turn > 0; turn -= 1)
      await new Promise((resolve) => setImmediate(resolve));
    if (random() < 0.7) hosts.deafen();
    for (let turn = Math.floor(random() * 10); turn > 0; turn -= 1)
      await new Promise((resolve) => setImmediate(resolve));
    await hosts.crash();
  }
  await working;
  assert.ok(crashes > 3, `${crashes} crashes`);
  assert.deepEqual([...new Set(tiny.completions.values())], [1]);
  assert.deepEqual([tiny.completions.size, tiny.held.size, tiny.lost.length], [total, 0, 0]);
  assert.deepEqual(
    sessions.map((one) => tiny.sessions.get(one)),
    ["live", "live", "live"],
  );
});
