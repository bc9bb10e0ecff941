import assert from "node:assert/strict";
import { it } from "node:test";
import { shortId } from "../../../src/app/short-id.ts";

it("makes ids of twelve unmistakable characters, each another", () => {
  const ids = Array.from({ length: 1_000 }, shortId);
  for (const id of ids) assert.match(id, /^[0-9a-hjkmnp-tv-z]{12}$/);
  assert.equal(new Set(ids).size, ids.length);
});
