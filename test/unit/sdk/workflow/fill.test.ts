/** Templates: what is filled in, and what is left alone. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { fill, isConstant, quoted } from "../../../../src/sdk/workflow/fill.ts";
import type { Json } from "../../../../src/sdk/workflow/node.ts";
import { fillInput, fillOutputs } from "../../../../src/sdk/workflow/template.ts";

test("only an object with a mark as its one key stands for something else", () => {
  const template: Json = { a: { $output: ["n"] }, b: { $output: ["n"], more: 1 }, c: ["$output", "$literal"] };
  const filled = fillOutputs(template, { n: 5 });
  assert.deepEqual(filled, { a: 5, b: { $output: ["n"], more: 1 }, c: ["$output", "$literal"] });
  assert.ok(isConstant({ $input: [], more: 1 }));
  assert.ok(!isConstant([{ $input: [] }]));
  assert.deepEqual(fillInput({ $input: ["x"], more: 1 }, { x: 2 }), { $input: ["x"], more: 1 });
});

test("data go through two fillings as they are, whatever they look like", () => {
  for (const data of [
    { $output: ["n"] },
    { $literal: 1 },
    { $text: [] },
    [{ $input: [] }],
    { $output: 1, b: 2 },
    null,
    "$output",
  ]) {
    const once = fillInput({ got: { $input: [] } }, data);
    assert.deepEqual(fillOutputs(once, { n: "wrong" }), { got: data });
    assert.deepEqual(fillOutputs(quoted(data), { n: "wrong" }), data);
  }
});

test("a text is finished as soon as all its parts are known", () => {
  assert.equal(fillInput({ $text: ["v", { $input: [] }, null, { $literal: [1] }] }, { a: "ü" }), 'v{"a":"ü"}[1]');
  const open = fillInput({ $text: [{ $input: [] }, { $output: ["n"] }] }, { $output: ["n"] });
  assert.ok(!isConstant(open));
  assert.equal(fillOutputs(open, { n: 1 }), '{"$output":["n"]}1');
});

test("a key named like an object's prototype is a key", () => {
  const template = JSON.parse('{"__proto__": {"$output": ["n"]}}') as Json;
  const filled = fill(template, { output: () => 1 });
  assert.deepEqual(Object.keys(filled as object), ["__proto__"]);
  assert.equal(JSON.stringify(filled), '{"__proto__":1}');
});
