/** `demo workflow` as it is typed: what is refused before anything starts. */
import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { execute } from "../../../src/cli/main.ts";
import { fakeContext } from "../../fixtures/cli/fake-context.ts";
import { withTemporaryFolder } from "../../support/temporary-folder.ts";

async function run(
  ...args: readonly string[]
): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> {
  const fake = fakeContext();
  const code = await execute(["demo", "workflow", ...args], fake.context);
  return { code, stdout: fake.stdout(), stderr: fake.stderr() };
}

test("flags that contradict each other are refused, and nothing is made", () =>
  withTemporaryFolder(async (folder) => {
    const out = path.join(folder, "out");
    const refused = [
      [["--quick", "--performance-mode"], /--quick is given; expected not to be given with --performance-mode/],
      [["--validate-only", "--demo-only"], /--validate-only is given; expected not to be given with --demo-only/],
      [["--broker", "./somewhere"], /--broker .*expected a Redis/],
      [["--broker", "https://ann:secret@host"], /--broker .*expected a Redis/],
    ] as const;
    for (const [flags, message] of refused) {
      const { code, stdout, stderr } = await run(...flags, "--output-dir", out);
      assert.deepEqual([code, stdout], [2, ""]);
      assert.match(stderr, message);
      assert.doesNotMatch(stderr, /secret/);
    }
    assert.equal(existsSync(out), false);
  }));

test("a folder in which nothing can be written is refused before anything runs", () =>
  withTemporaryFolder(async (folder) => {
    const file = path.join(folder, "file");
    writeFileSync(file, "");
    const { code, stdout, stderr } = await run("--output-dir", path.join(file, "out"));
    assert.deepEqual([code, stdout], [2, ""]);
    assert.match(stderr, /--output-dir .*expected a folder that can be written/);
  }));

test("what only the other demo understands is refused", async () => {
  const { code, stderr } = await run("--workers", "3");
  assert.equal(code, 2);
  assert.match(stderr, /--workers/);
});

test("help names every flag and the files", async () => {
  const { code, stdout } = await run("--help");
  assert.equal(code, 0);
  for (const flag of ["output-dir", "quick", "performance-mode", "validate-only", "demo-only", "verbose", "broker"])
    assert.match(stdout, new RegExp(`--${flag}`));
  assert.match(stdout, /report\.html/);
});
