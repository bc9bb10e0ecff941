import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createCallMetrics } from "../../../src/telemetry/metrics.ts";

describe("call metrics", () => {
  it("count calls, errors by code, and time, per method", () => {
    const metrics = createCallMetrics();
    metrics.observe("submit", 2);
    metrics.observe("claim", 1);
    metrics.observe("claim", 3, "SESSION_LOST");
    metrics.observe("claim", 5, "SESSION_LOST");
    const [claim, submit] = metrics.snapshot();
    assert.equal(claim?.method, "claim");
    assert.equal(claim?.calls, 3);
    assert.equal(claim?.totalMs, 9);
    assert.equal(claim?.maxMs, 5);
    assert.deepEqual(claim?.errors, { SESSION_LOST: 2 });
    assert.deepEqual(submit?.errors, {});
  });

  it("tell quantiles to within a quarter, from hundredths of a millisecond to minutes", () => {
    const metrics = createCallMetrics();
    for (let ms = 1; ms <= 1_000; ms += 1) metrics.observe("commit", ms);
    const [commit] = metrics.snapshot();
    assert.ok(commit !== undefined);
    assert.ok(commit.p50Ms >= 500 && commit.p50Ms <= 625, String(commit.p50Ms));
    assert.ok(commit.p99Ms >= 990 && commit.p99Ms <= 1_000, String(commit.p99Ms));
    metrics.observe("never", 1e9);
    metrics.observe("never", 0);
    assert.equal(metrics.snapshot()[1]?.p99Ms, 1e9);
  });
});
