import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { HoldfastError } from "../../../src/errors/index.ts";
import { parseDurationMs, parseSizeBytes, parseSizeMb } from "../../../src/util/units.ts";

test("durations are read in every unit", () => {
  const table: readonly [string | number, number][] = [
    [0, 0],
    [1_500, 1_500],
    ["250ms", 250],
    ["30s", 30_000],
    ["1.5 m", 90_000],
    ["2h", 7_200_000],
    ["7d", 604_800_000],
    [" .5S ", 500],
  ];
  for (const [text, ms] of table) assert.equal(parseDurationMs(text, "timeout"), ms, String(text));
});

test("sizes are read in every unit, bare numbers as megabytes", () => {
  assert.equal(parseSizeBytes("512MB", "memory"), 536_870_912);
  assert.equal(parseSizeBytes("2 gb", "memory"), 2 ** 31);
  assert.equal(parseSizeBytes("1KiB", "memory"), 1_024);
  assert.equal(parseSizeBytes(64, "memory"), 64 * 2 ** 20);
  assert.equal(parseSizeMb("1500KB", "memory"), 2);
  assert.equal(parseSizeMb("1TB", "memory"), 2 ** 20);
});

test("what is no duration or size is refused with its name and an example", () => {
  for (const wrong of ["30", "s", "", "-1s", "1e3s", "5 years", "1,5s", NaN, -1, Infinity]) {
    assert.throws(
      () => parseDurationMs(wrong, "timeout of task fit"),
      (thrown) =>
        HoldfastError.is(thrown, "INVALID_OPTION") &&
        thrown.message.startsWith("timeout of task fit is ") &&
        thrown.message.includes('"30s"'),
      String(wrong),
    );
  }
  for (const wrong of ["512", "MB", "12 MX", -5, NaN]) {
    assert.throws(() => parseSizeMb(wrong, "memoryLimit"), { code: "INVALID_OPTION" }, String(wrong));
  }
});

test("a whole number of any unit comes back exactly", () => {
  fc.assert(
    fc.property(
      fc.nat(10_000),
      fc.constantFrom(["ms", 1] as const, ["s", 1_000] as const, ["m", 60_000] as const, ["h", 3_600_000] as const),
      (count, [unit, ms]) => {
        assert.equal(parseDurationMs(`${count}${unit}`, "x"), count * ms);
      },
    ),
  );
});
