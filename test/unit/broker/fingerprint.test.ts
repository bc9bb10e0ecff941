import assert from "node:assert/strict";
import { test } from "node:test";
import { fingerprint } from "../../../src/broker/fingerprint.ts";
import { batch, workflow } from "../../support/submissions.ts";

/** The same value, its fields in the opposite order. */
function turned<T>(value: T): T {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(turned) as T;
  return Object.fromEntries(
    Object.entries(value)
      .toReversed()
      .map(([name, field]) => [name, turned(field)]),
  ) as T;
}

test("a submission is the same however its fields are ordered, and another one when anything differs", () => {
  const submission = { ...workflow([[], [0], [0, 1]]), key: "k", meta: '{"a":1}' };
  assert.equal(fingerprint(turned(submission)), fingerprint(submission));
  const [group] = submission.groups;
  const others = [
    { ...submission, priority: 6 },
    { ...submission, meta: '{"a":2}' },
    { ...submission, groups: [{ ...group, pool: "other" }] },
    { ...workflow([[], [0], [1, 0]]), key: "k", meta: '{"a":1}' },
    { ...workflow([[], [0], [1]]), key: "k", meta: '{"a":1}' },
  ];
  const prints = others.map((other) => fingerprint(other as typeof submission));
  assert.equal(new Set([fingerprint(submission), ...prints]).size, others.length + 1);
  assert.equal(fingerprint(batch(1)), "", "without a key there is nothing to compare under");
});
