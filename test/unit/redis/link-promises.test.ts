/**
 * What a link says about a command is true, whatever is done to the server meanwhile: what was
 * answered is there (the server syncs every write), and what was said not to be sent is not.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Link, LinkBroken } from "../../../src/broker/redis/link/link.ts";
import { cleanups, eventually } from "../../fixtures/sdk/scratch.ts";
import { standalone, testLink } from "../../support/redis-link.ts";
import { type RedisServer, startRedis } from "../../support/redis-server.ts";

const PATIENCE_MS = 20_000;
const SENDERS = 30;
const ROUNDS = 3;
const WRITES_BETWEEN_FAULTS = 300;

type Fate = "answered" | "maybe" | "not sent";

const FAULTS: Readonly<Record<string, (server: RedisServer, link: Link) => Promise<unknown>>> = {
  kill: (server) => server.restart(),
  demote: async (server, link) => {
    await server.command("REPLICAOF", "127.0.0.1", "1");
    await eventually("the link has noticed", () => !link.isUp);
    await server.command("REPLICAOF", "NO", "ONE");
  },
  stop: async (server, link) => {
    server.pause();
    await eventually("the link has noticed", () => !link.isUp);
    server.resume();
  },
  disconnect: (server) => server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"),
};

describe("what a link says of its commands", () => {
  it("is true through faults of every kind", async (t) => {
    const cleanup = cleanups(t);
    const server = await startRedis({ appendonly: "always" });
    cleanup(() => server.stop());
    const { link } = await testLink(standalone(server), cleanup, { replyTimeoutMs: 300 });
    const fates = new Map<string, Fate>();
    let answered = 0;
    const over = new AbortController();
    const send = async (sender: number): Promise<void> => {
      for (let count = 0; !over.signal.aborted; count += 1) {
        const key = `key-${sender}-${count}`;
        await link.ready(PATIENCE_MS);
        try {
          await link.send(["SET", key, "1"]);
          fates.set(key, "answered");
          answered += 1;
        } catch (thrown) {
          if (!(thrown instanceof LinkBroken)) throw thrown;
          fates.set(key, thrown.sent ? "maybe" : "not sent");
        }
      }
    };
    const senders = Promise.all(Array.from({ length: SENDERS }, (_, sender) => send(sender)));
    const writesGoOn = async (): Promise<void> => {
      const goal = answered + WRITES_BETWEEN_FAULTS;
      await eventually("more is written", () => answered >= goal);
    };
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const fault of Object.values(FAULTS)) {
        await writesGoOn();
        await fault(server, link);
      }
    }
    await writesGoOn();
    over.abort();
    await senders;

    const there = new Set((await link.send(["KEYS", "*"])) as readonly string[]);
    const keysOf = (fate: Fate): string[] => [...fates].filter(([, its]) => its === fate).map(([key]) => key);
    assert.deepEqual(
      keysOf("answered").filter((key) => !there.has(key)),
      [],
    );
    assert.deepEqual(
      keysOf("not sent").filter((key) => there.has(key)),
      [],
    );
    assert.ok(keysOf("not sent").length > 0 && keysOf("maybe").length > 0, "the faults hit something");
  });
});
