/** The contract suite is whole: every file of cases is used, every promise is proved several times. */
import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { describe, it } from "node:test";
import { CASE_GROUPS, caseId } from "./cases.ts";
import type { PromiseNumber } from "./contract-case.ts";

const PROMISES: readonly PromiseNumber[] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
const FEWEST_PER_PROMISE = 8;

describe("the contract suite", () => {
  it("uses every file of cases", async () => {
    const files = (await readdir(new URL("cases/", import.meta.url))).filter(
      (file) => /\.(ts|js)$/.test(file) && !file.endsWith(".d.ts"),
    );
    assert.equal(new Set(CASE_GROUPS).size, files.length);
  });

  it("gives every case a name of its own", () => {
    const ids = CASE_GROUPS.flatMap((group) => group.cases.map((one) => caseId(group, one)));
    assert.equal(new Set(ids).size, ids.length);
  });

  it("proves every promise by several cases", () => {
    for (const promise of PROMISES) {
      const proofs = CASE_GROUPS.flatMap((group) => group.cases.filter((one) => one.promises.includes(promise)));
      assert.ok(proofs.length >= FEWEST_PER_PROMISE, `promise ${promise} has ${proofs.length} cases`);
    }
  });

  it("is run on every broker", async () => {
    const folders = await readdir(new URL("../../src/broker/", import.meta.url), { withFileTypes: true });
    // With the quick tests, or with the slow ones as NAME-contract.
    const files = await Promise.all(["./", "../chaos/"].map((folder) => readdir(new URL(folder, import.meta.url))));
    const tests = files.flat().map((file) => file.replace(/(?:-contract)?\.test\.(ts|js)$/, ""));
    for (const folder of folders) {
      // The contract's own types stand in a folder too.
      if (folder.isDirectory() && folder.name !== "contract")
        assert.ok(tests.includes(folder.name), `src/broker/${folder.name} has a contract test`);
    }
  });
});
