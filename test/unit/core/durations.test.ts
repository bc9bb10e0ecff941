import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MAX_PAYLOAD } from "../../../src/broker/limits.ts";
import {
  durationsKey,
  durationsText,
  foldDurations,
  measuredLabel,
  NOTHING_MEASURED,
  parseDurations,
} from "../../../src/core/durations.ts";

function entriesOf(measured: typeof NOTHING_MEASURED): readonly (readonly [string, number])[] {
  return [...measured.means];
}

describe("measured durations", () => {
  it("are running means in which the newest run counts three tenths", () => {
    const first = foldDurations(NOTHING_MEASURED, [["a", 100]], 1);
    assert.deepEqual(entriesOf(first), [["a", 100]]);
    const second = foldDurations(
      first,
      [
        ["b", 7],
        ["a", 200],
      ],
      2,
    );
    assert.deepEqual(entriesOf(second), [
      ["b", 7],
      ["a", 130],
    ]);
    assert.equal(second.endedAt, 2);
    assert.deepEqual(entriesOf(first), [["a", 100]], "what was before stays as it was");
  });

  it("take the items of a map together, as one run", () => {
    assert.equal(measuredLabel("release/tests[3]/part[12]"), "release/tests[*]/part[*]");
    assert.equal(measuredLabel("plain[x]"), "plain[x]");
    const samples = [
      ["tests[0]", 10],
      ["tests[1]", 20],
      ["tests[2]", 60],
    ] as const;
    assert.deepEqual(entriesOf(foldDurations(NOTHING_MEASURED, samples, 1)), [["tests[*]", 30]]);
  });

  it("are a text that keeps labels and their order, whatever they are called", () => {
    const samples = [
      ["b", 1],
      ["10", 2.345],
      ["__proto__", 3],
      ["2", 4],
      ['"', 0],
    ] as const;
    const measured = foldDurations(NOTHING_MEASURED, samples, 5);
    const read = parseDurations(durationsText(measured));
    assert.deepEqual(entriesOf(read), [
      ["b", 1],
      ["10", 2.35],
      ["__proto__", 3],
      ["2", 4],
      ['"', 0],
    ]);
    assert.equal(read.endedAt, 5);
  });

  it("forget first what was not measured for the longest time, and stay far below a payload", () => {
    const many = Array.from({ length: 9_000 }, (_, at) => [`label-${at}`, at] as const);
    const before = foldDurations(NOTHING_MEASURED, many, 1);
    const more = Array.from({ length: 3_000 }, (_, at) => [`more-${at}`, at] as const);
    const kept = parseDurations(durationsText(foldDurations(before, [["label-0", 0], ...more], 2))).means;
    assert.equal(kept.size, 10_000);
    assert.ok(kept.has("label-0") && kept.has("more-0") && kept.has("label-2001"));
    assert.ok(!kept.has("label-1") && !kept.has("label-2000"));
    const long = Array.from({ length: 9_000 }, (_, at) => ["x".repeat(250) + String(at), at] as const);
    const text = durationsText(foldDurations(NOTHING_MEASURED, long, 1));
    assert.ok(text.length < MAX_PAYLOAD / 3, String(text.length));
    const read = parseDurations(text).means;
    assert.ok(read.size > 900 && read.has("x".repeat(250) + "8999"));
  });

  it("are nothing where the value is something else", () => {
    for (const text of ["", "null", "5", "[]", '{"endedAt":"x","means":[]}', '{"endedAt":1,"means":{}}'])
      assert.deepEqual(parseDurations(text), NOTHING_MEASURED, text);
    const some = parseDurations('{"endedAt":1,"means":[["a",1],["b"],["c",-1],["d","2"],5,null]}');
    assert.deepEqual(entriesOf(some), [["a", 1]]);
  });

  it("have a key for every name", () => {
    for (const name of ["", "release", "ä/\u0000 ", "\ud800", "n".repeat(256)]) {
      const key = durationsKey(name);
      assert.ok(key.length <= 512 && key.isWellFormed());
    }
    assert.notEqual(durationsKey("a"), durationsKey("b"));
  });
});
