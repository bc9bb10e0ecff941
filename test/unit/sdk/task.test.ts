import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { runInThisContext } from "node:vm";
import { z } from "zod";
import {
  defineTask,
  isTaskDefinition,
  TASK_BRAND,
  type TaskDefinition,
  type UncheckedTaskOptions,
} from "../../../src/sdk/task.ts";
import { square } from "../../fixtures/sdk/tasks.ts";
import { type Same, typeIs } from "../../fixtures/sdk/type-equality.ts";

test("a definition knows the module that made it", () => {
  const here = defineTask({ name: "here", run: () => 1 });
  assert.equal(here.module, import.meta.url);
  assert.match(square.module ?? "", /\/test\/fixtures\/sdk\/tasks\.(ts|js)$/);
  assert.equal(
    defineTask({ name: "there", module: "file:///elsewhere.js", run: () => 1 }).module,
    "file:///elsewhere.js",
  );
});

test("a CommonJS module and a REPL are told apart", async (t) => {
  const dir = await mkdtemp(path.join(tmpdir(), "holdfast-cjs-"));
  t.after(() => rm(dir, { recursive: true }));
  const file = path.join(dir, "tasks.cjs");
  await writeFile(file, "module.exports = (defineTask) => defineTask({ name: 'old', run: () => 1 });");
  const make = createRequire(import.meta.url)(file) as (define: typeof defineTask) => TaskDefinition;
  assert.equal(make(defineTask).module, pathToFileURL(file).href);
  const nowhere = runInThisContext(
    "(defineTask) => defineTask({ name: 'nowhere', run: () => 1 })",
    "repl",
  ) as typeof make;
  const outside = nowhere(defineTask).module;
  assert.equal(outside, undefined);
});

test("input and output types come from the schema and from run", () => {
  typeIs(
    true satisfies Same<
      typeof square,
      TaskDefinition<{ x: number; shift?: number | undefined }, { x: number; shift: number }, { squared: number }>
    >,
  );
  const bare = defineTask({ name: "bare", run: (input: { readonly k: number }) => Promise.resolve(input.k) });
  typeIs(true satisfies Same<typeof bare, TaskDefinition<{ readonly k: number }, { readonly k: number }, number>>);
});

test("defaults are the documented ones", () => {
  const plain = defineTask({ name: "plain", run: () => null });
  assert.deepEqual(
    { ...plain, run: undefined, module: undefined },
    {
      [TASK_BRAND]: true,
      name: "plain",
      module: undefined,
      input: undefined,
      timeoutMs: undefined,
      memoryLimitMb: undefined,
      retry: { limit: 3, baseMs: 5_000, factor: 2, maxMs: 300_000, jitter: 0, never: ["invalid-input"] },
      maxLosses: 3,
      requires: [],
      pool: "default",
      priority: 5,
      run: undefined,
    },
  );
});

test("settings are read in their units", () => {
  const task = defineTask({
    name: "fit",
    input: z.number(),
    timeout: "30s",
    memoryLimit: "2GB",
    retry: { limit: 1, base: "250ms", factor: 3, max: "1m", jitter: 0.5, never: ["user-error"] },
    requires: ["gpu"],
    pool: "training",
    priority: "training",
    run: (value) => value,
  });
  assert.equal(task.timeoutMs, 30_000);
  assert.equal(task.memoryLimitMb, 2_048);
  assert.deepEqual(task.retry, { limit: 1, baseMs: 250, factor: 3, maxMs: 60_000, jitter: 0.5, never: ["user-error"] });
  assert.equal(task.priority, 6);
  assert.equal(defineTask({ name: "few", retry: 0, run: () => 1 }).retry.limit, 0);
});

test("a setting out of its range is refused by name", () => {
  const cases: readonly [Partial<UncheckedTaskOptions<number, number>>, RegExp][] = [
    [{ name: " " }, /^name of a task is " "/],
    [{ retry: -1 }, /^retry of task t: limit is -1; expected a whole number, 0 to 1000\.$/],
    [{ retry: { jitter: 2 } }, /^retry of task t: jitter is 2; expected 0 to 1\.$/],
    [{ retry: { factor: 0.5 } }, /factor is 0.5/],
    [{ maxLosses: 0 }, /^maxLosses of task t is 0/],
    [{ timeout: 0 }, /^timeout of task t is 0; expected more than 0\.$/],
    [{ priority: 11 as 10 }, /^priority of task t is 11; expected 1 to 10 or deployment, validation, training\.$/],
    [{ priority: "urgent" as "training" }, /^priority of task t is "urgent"/],
    [{ timeout: "30" as "30s" }, /^timeout of task t is "30"; expected a duration/],
  ];
  for (const [wrong, message] of cases) {
    assert.throws(() => defineTask<number, number>({ name: "t", run: () => 1, ...wrong }), {
      code: "INVALID_OPTION",
      message,
    });
  }
});

test("only definitions are definitions", () => {
  assert.equal(isTaskDefinition(square), true);
  assert.equal(isTaskDefinition({ name: "square", run: () => 1 }), false);
  assert.equal(isTaskDefinition(null), false);
  assert.equal(isTaskDefinition("square"), false);
});
