/** A broker in a namespace of its own on a test server, whose data a test breaks behind its back. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import type { Broker, ExecutionView, Submission } from "../../src/broker/contract.ts";
import type { Check } from "../../src/broker/redis/doctor/check.ts";
import { openRedisBroker } from "../../src/broker/redis/index.ts";
import type { RedisTarget } from "../../src/broker/redis/link/target.ts";
import { keyPrefix } from "../../src/broker/redis/shard.ts";
import { systemClock } from "../../src/util/clock.ts";
import { auditBroker } from "../contract/audit.ts";
import { FakeWorker } from "./fake-worker.ts";
import { type Doctor, findingsOf, openDoctor } from "./redis-doctor.ts";
import { sharedRedis, type RedisServer } from "./redis-server.ts";
import { seededRandom } from "./seeded-random.ts";

let namespaces = 0;

interface Parts {
  readonly server: RedisServer;
  readonly target: RedisTarget;
  readonly namespace: string;
  readonly shards: number;
}

export class Redis {
  readonly broker: Broker;
  readonly #parts: Parts;
  #doctor: Promise<Doctor> | undefined;

  private constructor(broker: Broker, parts: Parts) {
    this.broker = broker;
    this.#parts = parts;
  }

  /** `prepare` fills the namespace before a broker opens it. */
  static async open(shards = 1, prepare?: (server: RedisServer, namespace: string) => Promise<void>): Promise<Redis> {
    const server = await sharedRedis();
    namespaces += 1;
    const namespace = `broken-${namespaces}`;
    await prepare?.(server, namespace);
    const target: RedisTarget = { mode: "standalone", nodes: [{ host: server.host, port: server.port }], db: 0 };
    const clock = systemClock({ keepAlive: true });
    const broker = await openRedisBroker({
      target,
      namespace,
      shards,
      clock,
      random: seededRandom(1),
      newId: () => randomUUID(),
    });
    return new Redis(broker, { server, target, namespace, shards });
  }

  /** A command on a key of the first shard, given without its prefix. */
  raw(command: string, key: string, ...args: readonly string[]): Promise<unknown> {
    return this.rawIn(0, command, key, ...args);
  }

  rawIn(shard: number, command: string, ...[key = "", ...args]: readonly string[]): Promise<unknown> {
    const { server, namespace } = this.#parts;
    return server.command(command, `${keyPrefix(namespace, shard)}${key}`, ...args);
  }

  /** Keys of the first shard that fit the pattern. */
  async keys(pattern: string): Promise<string[]> {
    return ((await this.raw("KEYS", pattern)) as string[]).toSorted();
  }

  async submitAll(submissions: readonly Submission[]): Promise<string[]> {
    const { executions } = await this.broker.submit({ submissions });
    return executions.map(({ executionId }) => executionId);
  }

  join(): Promise<FakeWorker> {
    return FakeWorker.join(this.broker);
  }

  /** The worker dies; another comes. */
  async replace(worker: FakeWorker): Promise<FakeWorker> {
    await worker.die();
    return this.join();
  }

  view(executionId: string): Promise<ExecutionView> {
    return this.broker.getExecution({ executionId });
  }

  async examine(how: { readonly repair?: boolean } = {}): Promise<readonly Check[]> {
    this.#doctor ??= openDoctor(this.#parts);
    return (await this.#doctor).examine(how);
  }

  /** What is not well, by the name of its check. */
  async findings(how: { readonly repair?: boolean } = {}): Promise<Record<string, string>> {
    return findingsOf(await this.examine(how));
  }

  /** Mends everything: a second look finds nothing, and the books balance. Returns what was found before. */
  async mended({ audit = true }: { readonly audit?: boolean } = {}): Promise<Record<string, string>> {
    const before = await this.findings();
    assert.notDeepEqual(before, {}, "there is something to mend");
    const checks = await this.examine({ repair: true });
    assert.deepEqual(findingsOf(checks), {}, "all of it can be mended");
    assert.ok(checks.some(({ repaired }) => repaired !== undefined));
    assert.deepEqual(await this.findings(), {}, "nothing is left");
    if (audit) await auditBroker(this.broker);
    return before;
  }

  /** All timers fall due now. */
  async makeAllDue(): Promise<void> {
    for (const member of (await this.raw("ZRANGE", "due", "0", "-1")) as string[])
      await this.raw("ZADD", "due", "1", member);
  }

  /** The worker does what is left, until all have ended. */
  async complete(ids: readonly string[], worker: FakeWorker): Promise<void> {
    for (let round = 0; !(await this.#allEnded(ids)); round += 1) {
      assert.ok(round < 1_000, "something is stranded");
      await worker.finish(...(await worker.leases(10)));
    }
  }

  async completeAll(ids: readonly string[], worker: FakeWorker): Promise<void> {
    await this.complete(ids, worker);
    await auditBroker(this.broker);
  }

  async #allEnded(ids: readonly string[]): Promise<boolean> {
    const views = await Promise.all(ids.map((id) => this.view(id)));
    return views.every(({ endedAt }) => endedAt !== undefined);
  }

  async close(): Promise<void> {
    await (await this.#doctor)?.close();
    await this.broker.close();
  }
}
