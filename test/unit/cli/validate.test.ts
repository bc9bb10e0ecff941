import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { execute } from "../../../src/cli/main.ts";
import { parseSlots } from "../../../src/cli/commands/validate.ts";
import { loadRunnable } from "../../../src/cli/load-definition.ts";
import { nodeLine } from "../../../src/cli/watch-workflow.ts";
import { fakeContext } from "../../fixtures/cli/fake-context.ts";

const FLOW = `
name: release
input: { version: text }
nodes:
  build: { run: make, estimate: 4s, pool: build }
  lint: { run: make lint, estimate: 1s, pool: build, input: "\${{ input.version }}" }
  tests: { run: make tests, estimate: 10s, after: [build, lint], pool: qa, requires: [ssd] }
`;

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

describe("holdfast validate", () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "holdfast-validate-"));
    await writeFile(path.join(folder, "release.yaml"), FLOW);
    await writeFile(path.join(folder, "wrong.yaml"), FLOW.replace("after: [build", "after: [biuld"));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  async function validate(...args: readonly string[]): Promise<Ran> {
    const fake = fakeContext();
    const code = await execute(["validate", ...args], { ...fake.context, workingDirectory: folder });
    return { code, stdout: fake.stdout(), stderr: fake.stderr() };
  }

  it("prints levels, critical path, pools and about how long it takes", async () => {
    const { code, stdout } = await validate("release.yaml", "--input", '{"version": "1"}');
    assert.equal(code, 0);
    for (const told of [
      "release: 3 nodes, 2 dependencies, 2 levels",
      "1  build, lint (2)",
      "2  tests",
      "Critical path, 14 s",
      "build 4.0 s",
      "About 14 s; no run with so many slots takes less than 14 s. Work in sum: 15 s.",
    ])
      assert.ok(stdout.includes(told), `${told}: ${stdout}`);
    assert.match(stdout, /build +2 +5\.0 s/);
  });

  it("reckons with slots, in all or by pool", async () => {
    const makespan = async (...args: readonly string[]): Promise<unknown> => {
      const { stdout } = await validate("release.yaml", "--input", '{"version": "1"}', "--json", ...args);
      return (JSON.parse(stdout) as { readonly makespanMs: unknown }).makespanMs;
    };
    assert.deepEqual(
      [await makespan(), await makespan("--slots", "1"), await makespan("--slots", "build=1")],
      [14_000, 15_000, 15_000],
    );
    assert.deepEqual(
      parseSlots("backend=4, qa=2"),
      new Map([
        ["backend", 4],
        ["qa", 2],
      ]),
    );
    for (const wrong of ["0", "x", "qa", "qa=", "=2", "qa=0", "1,2"])
      assert.throws(() => parseSlots(wrong), { code: "INVALID_OPTION" }, wrong);
  });

  it("tells what is wrong with its line, and exits with 2", async () => {
    const { code, stderr } = await validate("wrong.yaml");
    assert.equal(code, 2);
    assert.match(
      stderr.replaceAll(/\s+/g, " "),
      /wrong\.yaml:7:\d+: nodes\.tests\.after\[0\] is "biuld", and there is no such node; did you mean "build"\?/,
    );
    assert.match((await validate("release.yaml")).stderr, /input\.version/);
    assert.match((await validate("release.yaml", "--input", "{")).stderr, /--input is \{; expected JSON/);
    assert.equal((await validate("none.yaml")).code, 2);
  });

  it("knows what workers a workflow needs", async () => {
    const definition = await loadRunnable("release.yaml", { workingDirectory: folder });
    assert.deepEqual(definition.needs, [
      { pool: "build", requires: [] },
      { pool: "qa", requires: ["ssd"] },
    ]);
  });

  it("tells of a node that has ended how it did", () => {
    const { out } = fakeContext().context;
    const node = { id: "tests", task: 1, pool: "qa", state: "completed", attempts: 2, worker: "w1" } as const;
    assert.match(nodeLine(out, node, { tookMs: 1_200, wasTried: true }) ?? "", /tests {2}1\.2 s, attempt 2, w1/);
    assert.match(
      nodeLine(out, { ...node, state: "skipped", reason: "condition" }, { tookMs: undefined, wasTried: false }) ?? "",
      /tests {2}skipped by its condition$/,
    );
    assert.equal(nodeLine(out, { ...node, state: "queued" }, { tookMs: undefined, wasTried: false }), undefined);
  });
});
