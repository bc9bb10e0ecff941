import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { FAILURE_CLASSES } from "../../../src/core/failure.ts";
import { decideRetry, DEFAULT_MAX_LOSSES, DEFAULT_RETRY, type RetryPolicy } from "../../../src/core/retry.ts";

function noRandom(): number {
  throw new Error("a policy without jitter asks for no random number");
}

/** Delays after failures 1, 2, … until the dead letter. */
function delays(policy: RetryPolicy, random: () => number): number[] {
  const found: number[] = [];
  for (let failures = 1; ; failures += 1) {
    const decision = decideRetry(policy, { failures, class: "user-error" }, random);
    if (decision.kind === "dead-letter") return found;
    found.push(decision.delayMs);
  }
}

describe("retry", () => {
  it("follows the table exactly: at once, then after 5, 10 and 20 s, then dead letter", () => {
    assert.deepEqual(delays(DEFAULT_RETRY, noRandom), [5_000, 10_000, 20_000]);
    assert.deepEqual(decideRetry(DEFAULT_RETRY, { failures: 4, class: "user-error" }, noRandom), {
      kind: "dead-letter",
    });
    assert.equal(DEFAULT_MAX_LOSSES, 3);
  });

  it("treats every class alike but those that can never succeed", () => {
    for (const failureClass of FAILURE_CLASSES) {
      const decision = decideRetry(DEFAULT_RETRY, { failures: 1, class: failureClass }, noRandom);
      assert.equal(decision.kind, failureClass === "invalid-input" ? "dead-letter" : "retry", failureClass);
    }
  });

  it("sends the classes named by the policy straight to the dead letters", () => {
    const policy: RetryPolicy = { ...DEFAULT_RETRY, never: ["timeout"] };
    assert.equal(decideRetry(policy, { failures: 1, class: "timeout" }, noRandom).kind, "dead-letter");
    assert.equal(decideRetry(policy, { failures: 1, class: "invalid-input" }, noRandom).kind, "retry");
  });

  it("caps the delay", () => {
    assert.deepEqual(
      delays({ ...DEFAULT_RETRY, limit: 8, maxMs: 60_000 }, noRandom),
      [5_000, 10_000, 20_000, 40_000, 60_000, 60_000, 60_000, 60_000],
    );
  });

  it("does not retry at all with limit 0", () => {
    assert.deepEqual(delays({ ...DEFAULT_RETRY, limit: 0 }, noRandom), []);
  });

  it("shortens by at most the jitter's share and never lengthens", () => {
    const policy = fc.record({
      limit: fc.integer({ min: 1, max: 20 }),
      baseMs: fc.integer({ min: 0, max: 100_000 }),
      factor: fc.double({ min: 1, max: 4, noNaN: true }),
      maxMs: fc.integer({ min: 0, max: 1_000_000 }),
      jitter: fc.double({ min: 0, max: 1, noNaN: true }),
      never: fc.constant([]),
    });
    fc.assert(
      fc.property(policy, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (given, drawn) => {
        const full = delays({ ...given, jitter: 0 }, noRandom);
        const shortened = delays(given, () => drawn);
        assert.equal(shortened.length, given.limit);
        for (const [place, delayMs] of shortened.entries()) {
          const longest = full[place] ?? 0;
          assert.ok(longest <= given.maxMs);
          assert.ok(delayMs <= Math.ceil(longest) && delayMs >= Math.floor(longest * (1 - given.jitter)));
        }
      }),
    );
  });
});
