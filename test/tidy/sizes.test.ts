import { describe, it } from "node:test";
import { assertNoBreaches, type Breach } from "./exceptions.ts";
import { sourceFiles } from "./repository.ts";

// Function length and parameter count are oxlint's to check (.oxlintrc.json); files are counted here
// too, so that `npm test` alone tells.
const MAX_SOURCE_LINES = 500;
const MAX_TEST_LINES = 700;

function tooLong(folder: string, limit: number): Breach[] {
  return sourceFiles(folder)
    .map(({ file, text }) => ({ file, lines: text.trimEnd().split("\n").length }))
    .filter(({ lines }) => lines > limit)
    .map(({ file, lines }) => ({ file, problem: `${lines} lines; find its rooms and split it (limit ${limit})` }));
}

describe("sizes", () => {
  it("of source files", () => assertNoBreaches("file length", tooLong("src", MAX_SOURCE_LINES)));
  it("of test files", () => assertNoBreaches("test file length", tooLong("test", MAX_TEST_LINES)));
  it("of bench files", () => assertNoBreaches("bench file length", tooLong("bench", MAX_SOURCE_LINES)));
});
