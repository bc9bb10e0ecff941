import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { MAX_OUTPUT_BYTES } from "../../../src/broker/limits.ts";
import { OutputTap } from "../../../src/worker/output-tap.ts";

test("each attempt gets the bytes up to its count", () => {
  const tap = new OutputTap();
  tap.push(Buffer.from("onetwo"));
  assert.deepEqual(tap.cut(3, false), { text: "one", truncated: false });
  tap.push(Buffer.from("three"));
  assert.equal(tap.hasRead(11), true);
  assert.equal(tap.hasRead(12), false);
  assert.deepEqual(tap.cut(11, true), { text: "twothree", truncated: false });
  assert.deepEqual(tap.cut(11, true), { text: "", truncated: false });
});

test("bytes that nobody counted go to the attempt that is alone, and shift the counts after it", () => {
  const tap = new OutputTap();
  tap.push(Buffer.from("uncounted"));
  assert.equal(tap.cut(0, true).text, "uncounted");
  assert.equal(tap.hasRead(4), false);
  tap.push(Buffer.from("more"));
  assert.equal(tap.hasRead(4), true);
  assert.equal(tap.cut(4, false).text, "more");
});

test("of too much the end is kept, and a character is not cut in half", () => {
  const tap = new OutputTap();
  const text = "€".repeat(MAX_OUTPUT_BYTES);
  tap.push(Buffer.from(text));
  const { text: kept, truncated } = tap.cut(Buffer.byteLength(text), true);
  assert.equal(truncated, true);
  assert.equal(kept, "€".repeat(Math.floor(MAX_OUTPUT_BYTES / 3)));
});

test("the tail is what was read last", () => {
  const tap = new OutputTap();
  tap.push(Buffer.from("abc"));
  tap.push(Buffer.from("def"));
  assert.equal(tap.tail(4), "cdef");
  assert.equal(tap.tail(100), "abcdef");
});

test("however the bytes arrive, attempts get back what they wrote", () => {
  const texts = fc.array(fc.string({ unit: "grapheme", maxLength: 40 }), { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(texts, fc.infiniteStream(fc.integer({ min: 1, max: 50 })), (written, pieces) => {
      const tap = new OutputTap();
      let bytes = Buffer.from(written.join(""));
      let counted = 0;
      for (const [index, text] of written.entries()) {
        counted += Buffer.byteLength(text);
        while (!tap.hasRead(counted)) {
          const size = pieces.next().value as number;
          tap.push(bytes.subarray(0, size));
          bytes = bytes.subarray(size);
        }
        const isLast = index === written.length - 1;
        assert.equal(tap.cut(counted, isLast).text, text);
      }
    }),
  );
});
