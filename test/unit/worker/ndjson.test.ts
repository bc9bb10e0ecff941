import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { NdjsonReader } from "../../../src/worker/ndjson.ts";

test("messages come out as they went in, however the stream is cut", () => {
  fc.assert(
    fc.property(
      fc.array(fc.jsonValue(), { maxLength: 10 }),
      fc.infiniteStream(fc.integer({ min: 1, max: 30 })),
      (messages, sizes) => {
        const read: unknown[] = [];
        const reader = new NdjsonReader<unknown>((message) => read.push(message));
        let bytes = Buffer.from(messages.map((message) => `${JSON.stringify(message)}\n`).join(""));
        while (bytes.length > 0) {
          const size = sizes.next().value as number;
          reader.push(bytes.subarray(0, size));
          bytes = bytes.subarray(size);
        }
        assert.deepEqual(read, JSON.parse(JSON.stringify(messages)));
      },
    ),
  );
});

test("an open line waits for its end", () => {
  const read: unknown[] = [];
  const reader = new NdjsonReader<unknown>((message) => read.push(message));
  reader.push(Buffer.from('{"a":'));
  assert.deepEqual(read, []);
  reader.push(Buffer.from("1}\n{"));
  assert.deepEqual(read, [{ a: 1 }]);
});

test("what is no JSON is not passed over", () => {
  const reader = new NdjsonReader<unknown>(() => undefined);
  assert.throws(() => reader.push(Buffer.from("garbage\n")), SyntaxError);
});
