/** For whom a worker's token may speak. */
import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import type { Principal } from "../../../src/server/principal.ts";
import { FakeWorker } from "../../support/fake-worker.ts";
import { type HttpWorld, startHttpWorld } from "../../support/http-server.ts";
import { HttpWorker } from "../../support/http-worker.ts";
import { openAccess } from "../../support/open-access.ts";
import { batch } from "../../support/submissions.ts";

const ADMIN: Principal = { name: "root", role: "admin", tokenId: "0" };
const FLEET: Principal = { name: "fleet", role: "worker", tokenId: "1", pools: ["default", "train"] };
const OTHER: Principal = { name: "other", role: "worker", tokenId: "2" };
const SUBMITTER: Principal = { name: "ci", role: "submit", tokenId: "3" };
const READER: Principal = { name: "screen", role: "read", tokenId: "4" };
const SIGNED: Principal = { name: "worker:w1", role: "worker", workerId: "w1" };

/** Servers of one broker, one for each who calls. */
async function serversFor(t: TestContext, ...principals: readonly Principal[]): Promise<readonly HttpWorld[]> {
  const { broker } = await startHttpWorld(t);
  return Promise.all(
    principals.map((principal) => startHttpWorld(t, { broker, access: openAccess(broker, principal) })),
  );
}

async function refused(answer: Promise<{ readonly error?: string }>, why: RegExp): Promise<void> {
  assert.match((await answer).error ?? "", why);
}

describe("access of workers over HTTP", () => {
  it("is for workers' tokens only, and looking for all", async (t) => {
    const [reader, submitter, fleet] = (await serversFor(t, READER, SUBMITTER, FLEET)) as [
      HttpWorld,
      HttpWorld,
      HttpWorld,
    ];
    const worker = await HttpWorker.join(fleet);
    const body = worker.registration({ workerId: "w2" });
    for (const world of [reader, submitter]) {
      await refused(world.expect(403, "POST /workers/register", body), /its role is/);
      await worker.at(world).expect(403, "heartbeat", { currentLoad: 0 });
      await worker.at(world).expect(403, "claim", { holding: [] });
      await world.expect(200, "GET /workers");
      await world.expect(200, "GET /workers/w1");
    }
    await reader.expect(403, "POST /workers/w1/drain");
    await reader.expect(403, "DELETE /workers/w1");
    await submitter.expect(200, "POST /workers/w1/drain");
    await submitter.expect(200, "DELETE /workers/w1");
  });

  it("is limited to the pools of the token", async (t) => {
    const [fleet, admin] = (await serversFor(t, FLEET, ADMIN)) as [HttpWorld, HttpWorld];
    const worker = await HttpWorker.join(fleet, "w1", { pools: ["default", "train"] });
    const foreign = worker.registration({ workerId: "w2", pools: ["train", "secret"] });
    await refused(fleet.expect(403, "POST /workers/register", foreign), /pool secret/);
    // The default pool is one as well.
    const { pools: _pools, ...rest } = foreign;
    await refused(fleet.expect(403, "POST /workers/register", rest), /pool jobs/);
    await HttpWorker.join(admin, "w3", { pools: ["secret"] });
    await worker.expect(200, "heartbeat", { currentLoad: 0 });
    await refused(fleet.expect(403, "POST /workers/w3/heartbeat", {}), /registered with another token|pool secret/);
    await refused(fleet.expect(403, "DELETE /workers/w3"), /registered with another token|pool secret/);
  });

  it("is for the workers that the token registered, at every server", async (t) => {
    const [fleet, other, admin] = (await serversFor(t, FLEET, OTHER, ADMIN)) as [HttpWorld, HttpWorld, HttpWorld];
    await fleet.broker.submit({ submissions: [batch(1)] });
    const worker = await HttpWorker.join(fleet);
    const { lease } = await worker.take();
    const intruder = worker.at(other);
    const why = /registered with another token/;
    await refused(intruder.expect(403, "heartbeat", {}), why);
    await refused(intruder.expect(403, "claim", { holding: [] }), why);
    await refused(intruder.expect(403, "complete", { lease, result: "forged" }), why);
    await refused(intruder.expect(403, "fail", { lease, error: { message: "m" } }), why);
    await refused(intruder.expect(403, "return", { lease }), why);
    await refused(other.expect(403, "POST /workers/register", worker.registration()), why);
    await refused(other.expect(403, "POST /workers/w1/drain"), why);
    await refused(other.expect(403, "DELETE /workers/w1"), why);
    await worker.at(admin).expect(200, "heartbeat", {});
    await worker.expect(200, "complete", { lease, result: "true" });
    // Nor for workers that have a connection of their own.
    await FakeWorker.join(fleet.broker, { worker: "direct" });
    await refused(other.expect(403, "POST /workers/direct/drain"), why);
    await admin.expect(200, "POST /workers/direct/drain");
  });

  it("is for one worker where the request is signed by it", async (t) => {
    const [signed] = (await serversFor(t, SIGNED)) as [HttpWorld];
    const worker = await HttpWorker.join(signed, "w1");
    await worker.expect(200, "heartbeat", {});
    const why = /signed by worker w1/;
    await refused(signed.expect(403, "POST /workers/register", worker.registration({ workerId: "w2" })), why);
    await refused(signed.expect(403, "POST /workers/w2/heartbeat", {}), why);
    await FakeWorker.join(signed.broker, { worker: "w2" });
    await refused(signed.expect(403, "DELETE /workers/w2"), why);
    await worker.leave();
  });
});
