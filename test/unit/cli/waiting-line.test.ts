import assert from "node:assert/strict";
import { test } from "node:test";
import { waitingLine } from "../../../src/cli/commands/run.ts";

const here = { pools: ["default"], capabilities: ["cpu"] };

test("a run says why nothing will happen when no worker here may take its work", () => {
  assert.equal(waitingLine([{ pool: "default", requires: ["cpu"] }], here, 2), undefined);
  assert.equal(
    waitingLine([{ pool: "train", requires: ["cpu", "gpu"] }], here, 2),
    "It waits for a worker elsewhere: none here serves pool train and offers gpu. If they may, add --pools default,train --capabilities cpu,gpu.",
  );
  assert.equal(
    waitingLine([{ pool: "default", requires: ["gpu"] }], here, 2),
    "It waits for a worker elsewhere: none here offers gpu. If they may, add --capabilities cpu,gpu.",
  );
});

test("a run says so for all that a workflow needs", () => {
  const needs = [
    { pool: "default", requires: [] },
    { pool: "qa", requires: ["gpu"] },
    { pool: "build", requires: ["gpu", "cpu"] },
  ];
  assert.equal(
    waitingLine(needs, here, 2),
    "It waits for a worker elsewhere: none here serves pool qa, build and offers gpu. If they may, add --pools default,qa,build --capabilities cpu,gpu.",
  );
});

test("without workers of its own a run expects others", () => {
  assert.equal(waitingLine([{ pool: "train", requires: [] }], here, 0), undefined);
});
