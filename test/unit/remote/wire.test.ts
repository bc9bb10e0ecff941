/** The wire format by itself, and the log of replies under it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { ReplyLog } from "../../../src/broker/remote/reply-log.ts";
import {
  acknowledgementFrame,
  errorFrame,
  helloFrame,
  readHello,
  readReply,
  readRequest,
  readTail,
  readWelcome,
  requestFrame,
  requestTail,
  resultFrame,
  type Welcome,
  welcomeFrame,
} from "../../../src/broker/remote/wire.ts";
import { HoldfastError } from "../../../src/errors/index.ts";

test("what one side writes the other reads", () => {
  const hello = { protocol: 1, client: "c", received: 7 };
  assert.deepEqual(readHello(helloFrame(hello)), hello);
  const welcome: Welcome = {
    protocol: 1,
    host: "h",
    durable: true,
    resumed: false,
    taken: 0,
    maxRequestBytes: 1,
    keepaliveMs: 1,
  };
  assert.deepEqual(readWelcome(welcomeFrame(welcome), "ws://x"), welcome);
  assert.deepEqual(readRequest(acknowledgementFrame(5)), { id: 0, received: 5, method: undefined, params: undefined });
  fc.assert(
    fc.property(fc.nat(), fc.nat(), fc.object(), (id, received, params) => {
      const plain: unknown = JSON.parse(JSON.stringify(params));
      const tail = requestTail("claim", params);
      assert.deepEqual(readRequest(requestFrame(id + 1, received, tail)), {
        id: id + 1,
        received,
        method: "claim",
        params: plain,
      });
      assert.deepEqual(readTail(tail), { method: "claim", params: plain });
      assert.deepEqual(readReply(resultFrame(id, params)), { id, body: { ok: true, result: plain } });
    }),
  );
  assert.deepEqual(readReply(resultFrame(1, undefined)).body, { ok: true, result: null });
  assert.deepEqual(readRequest(requestFrame(1, 0, requestTail("listPools", undefined))).params, undefined);
});

test("errors travel with code and details", () => {
  const { body } = readReply(errorFrame(3, new HoldfastError("SESSION_LOST", { session: "s" })));
  assert.ok(!body.ok);
  assert.deepEqual(body.error.toWire(), { code: "SESSION_LOST", details: { session: "s" } });
});

test("whatever arrives, reading it throws a HoldfastError or nothing", () => {
  const readers = [readHello, readRequest, readReply, (text: string) => readWelcome(text, "ws://x")];
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), fc.constantFrom(...readers), (text, read) => {
      try {
        read(text);
      } catch (thrown) {
        assert.ok(HoldfastError.is(thrown), String(thrown));
      }
    }),
    { numRuns: 2_000 },
  );
});

test("the log keeps exactly what was not acknowledged, in order", () => {
  const step = fc.oneof(fc.constant("add" as const), fc.nat({ max: 12 }));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const log = new ReplyLog();
      const all: string[] = [];
      let acknowledged = 0;
      for (const one of steps) {
        if (one === "add") {
          const frame = "x".repeat(all.length + 1);
          all.push(frame);
          log.add({ frame, written: false });
          continue;
        }
        // A count may be too small or too large; then it says nothing.
        const received = acknowledged + one - 3;
        const possible = received >= acknowledged && received <= all.length;
        assert.equal(log.canContinueAt(received), possible);
        log.acknowledge(received);
        if (possible) acknowledged = received;
      }
      const kept = log.kept().map((reply) => reply.frame);
      assert.deepEqual(kept, all.slice(acknowledged));
      assert.equal(log.size, kept.join("").length);
    }),
  );
});
