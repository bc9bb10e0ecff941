import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { didYouMean, nearestName } from "../../../src/config/did-you-mean.ts";

const COMMANDS = ["demo", "run", "up", "worker", "status", "results", "cancel"];

describe("did you mean", () => {
  it("finds a slip of the finger", () => {
    assert.equal(nearestName("staus", COMMANDS), "status");
    assert.equal(nearestName("wroker", COMMANDS), "worker");
    assert.equal(nearestName("Results", COMMANDS), "results");
    assert.equal(nearestName("dmeo", COMMANDS), "demo");
  });

  it("does not guess wildly", () => {
    assert.equal(nearestName("frobnicate", COMMANDS), undefined);
    assert.equal(nearestName("xy", ["up"]), undefined);
    assert.equal(didYouMean("anything", []), "");
  });

  it("makes a sentence that can follow another", () => {
    assert.equal(didYouMean("cancle", COMMANDS), " Did you mean cancel?");
  });
});
