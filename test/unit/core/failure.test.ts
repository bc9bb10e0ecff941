import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FAILURE_CLASSES, MAX_FAILURE_MESSAGE, MAX_FAILURE_STACK } from "../../../src/core/failure.ts";
import { MAX_PAYLOAD } from "../../../src/broker/limits.ts";

describe("failure", () => {
  it("knows the eight classes, each once", () => {
    assert.deepEqual([...FAILURE_CLASSES].sort(), [
      "gpu",
      "invalid-input",
      "network",
      "out-of-memory",
      "timeout",
      "unknown",
      "user-error",
      "worker-lost",
    ]);
  });

  it("stays far below what one call may carry", () => {
    assert.ok(MAX_FAILURE_MESSAGE + MAX_FAILURE_STACK < MAX_PAYLOAD / 10);
  });
});
