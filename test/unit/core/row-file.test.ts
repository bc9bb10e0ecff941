import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, describe, it } from "node:test";
import * as fc from "fast-check";
import { type ErrorCode, HoldfastError } from "../../../src/errors/index.ts";
import { openRowFile, scanRowFile } from "../../../src/util/row-file.ts";
import { cellValue } from "../../../src/util/row-file/row-reading.ts";
import { seededRandom } from "../../support/seeded-random.ts";

const folder = mkdtempSync(path.join(tmpdir(), "holdfast-rows-"));
after(() => rmSync(folder, { recursive: true }));

function written(name: string, content: string | Uint8Array): string {
  const file = path.join(folder, name);
  writeFileSync(file, content);
  return file;
}

async function rowsOf(name: string, content: string | Uint8Array): Promise<unknown[]> {
  const file = openRowFile(await scanRowFile(written(name, content)));
  try {
    return Array.from({ length: file.length }, (_, row) => file.row(row));
  } finally {
    file.close();
  }
}

async function refused(file: string, code: ErrorCode, message: RegExp): Promise<void> {
  await assert.rejects(
    scanRowFile(file),
    (thrown) => HoldfastError.is(thrown, code) && message.test(thrown.message),
    `${code} ${message}`,
  );
}

describe("CSV", () => {
  it("reads names, numbers, truths, texts and gaps", async () => {
    assert.deepEqual(
      await rowsOf("plain.csv", "k,distance,weighted,note\n1,euclidean,true,\n2.5e-3, near ,FALSE,007\n"),
      [
        { k: 1, distance: "euclidean", weighted: true, note: null },
        { k: 0.0025, distance: "near", weighted: false, note: "007" },
      ],
    );
  });

  it("copes with a byte order mark, either line end, quotes over lines, and blank lines", async () => {
    const text = '\ufeffname, n\r\n"a\r\nb, ""c""",1\r\n\r\n   \r\n\t\n"x\ny",2\r\nlast,3';
    assert.deepEqual(await rowsOf("odd.csv", text), [
      { name: 'a\r\nb, "c"', n: 1 },
      { name: "x\ny", n: 2 },
      { name: "last", n: 3 },
    ]);
  });

  it("reads back what any program wrote", async () => {
    const cell = fc.string({ unit: "grapheme", maxLength: 8 }).map((text) => text.replaceAll("\0", "").trim());
    const table = fc.array(fc.tuple(cell, cell, fc.integer()), { minLength: 1, maxLength: 30 });
    const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`;
    await fc.assert(
      fc.asyncProperty(table, fc.constantFrom("\n", "\r\n"), async (rows, end) => {
        const lines = rows.map(([left, right, n]) => `${quoted(left)},${quoted(right)},${n}`);
        const found = await rowsOf("any.csv", [`left,right,n`, ...lines].join(end));
        assert.deepEqual(
          found,
          rows.map(([left, right, n]) => ({ left: cellValue(left), right: cellValue(right), n })),
        );
      }),
      { numRuns: 50 },
    );
  });

  it("says which row is bad, and why", async () => {
    const cases: [rows: string, row: number, problem: RegExp][] = [
      ["a,b\n1,2\n3\n4,5\n", 2, /has 1 cell; the header names 2/],
      ["a,b\n1,2\n\n3,4,5\n", 2, /has 3 cells; the header names 2/],
      ['a,b\n1,2\n3,4\n5,x"y\n', 3, /has a quote inside a cell/],
      ['a,b\n1,2\n3,"x"y\n4,5', 2, /has text after a closing quote/],
      ['a,b\n1,2\n3,"xy\n4,5', 2, /opens a quote that is never closed/],
      [`a\n1\n"${"x\n".repeat(600_000)}`, 2, /is longer than 1 MiB; is a quote left open\?/],
    ];
    for (const [text, row, problem] of cases) {
      await refused(
        written("bad.csv", text),
        "INVALID_PARAMETER_FILE",
        new RegExp(`bad\\.csv, row ${row}: ${problem.source}`),
      );
    }
    const binary = written("binary.csv", Buffer.from("a\nok\n\xff\xfe\n", "latin1"));
    await refused(binary, "INVALID_PARAMETER_FILE", /row 2: is not valid UTF-8 text/);
  });

  it("finds the one bad row among many", async () => {
    const lines = Array.from({ length: 5_000 }, (_, row) => `${row},${row * 2}`);
    lines[4_321] = "4321";
    await refused(written("many.csv", ["a,b", ...lines].join("\n")), "INVALID_PARAMETER_FILE", /row 4322: has 1 cell/);
  });

  it("refuses a file that cannot be a parameter file", async () => {
    await refused(written("empty.csv", ""), "PARAMETER_FILE_UNUSABLE", /it has no rows below its header/);
    await refused(written("head.csv", "a,b\n\n"), "PARAMETER_FILE_UNUSABLE", /it has no rows below its header/);
    await refused(written("twice.csv", "a,a\n1,2"), "PARAMETER_FILE_UNUSABLE", /its header names two columns a/);
    await refused(written("unnamed.csv", "a,,b\n1,2,3"), "PARAMETER_FILE_UNUSABLE", /its header names a column ""/);
    await refused(
      written("proto.csv", "a,__proto__\n1,2"),
      "PARAMETER_FILE_UNUSABLE",
      /its header names a column "__proto__"/,
    );
    await refused(
      written("utf16.csv", Buffer.from("\ufeffa,b\n1,2", "utf16le")),
      "PARAMETER_FILE_UNUSABLE",
      /it is UTF-16 text; save it as UTF-8/,
    );
    await refused(
      written("image.csv", Buffer.from([0x89, 0x50, 0, 0, 1])),
      "PARAMETER_FILE_UNUSABLE",
      /it is not a text file/,
    );
    await refused(
      written("points.txt", "a\n1"),
      "PARAMETER_FILE_UNUSABLE",
      /its name ends neither in \.csv nor in \.jsonl/,
    );
    await refused(path.join(folder, "missing.csv"), "PARAMETER_FILE_UNUSABLE", /there is no such file on this machine/);
    await assert.rejects(scanRowFile(folder, { format: "csv" }), (thrown) =>
      HoldfastError.is(thrown, "PARAMETER_FILE_UNUSABLE"),
    );
  });
});

describe("a cell", () => {
  it("is a number only when nothing of it is lost", () => {
    const cases: [cell: string, value: unknown][] = [
      ["", null],
      ["0", 0],
      ["-0", 0],
      ["+3", 3],
      [".5", 0.5],
      ["1.", 1],
      ["-1.5E+3", -1_500],
      ["0.1", 0.1],
      ["9007199254740991", 9_007_199_254_740_991],
      ["9007199254740993", "9007199254740993"],
      ["007", "007"],
      ["1e999", "1e999"],
      ["0x10", "0x10"],
      ["1_000", "1_000"],
      ["1-2", "1-2"],
      ["2024-01-01", "2024-01-01"],
      ["NaN", "NaN"],
      ["Infinity", "Infinity"],
      ["-", "-"],
      [".", "."],
      ["True", true],
      ["false", false],
      ["truth", "truth"],
      ["yes", "yes"],
    ];
    for (const [cell, value] of cases)
      assert.ok(Object.is(cellValue(cell), value), `${cell} → ${String(cellValue(cell))}`);
  });
});

describe("JSON lines", () => {
  it("reads any value, a fresh one each time", async () => {
    const file = openRowFile(await scanRowFile(written("values.jsonl", '{"a":{"b":1}}\n\n[1]\r\n "x" \nnull\n2')));
    assert.deepEqual(
      Array.from({ length: file.length }, (_, row) => file.row(row)),
      [{ a: { b: 1 } }, [1], "x", null, 2],
    );
    (file.row(0) as { a: { b: number } }).a.b = 99;
    assert.deepEqual(file.row(0), { a: { b: 1 } });
    file.close();
  });

  it("says which row is bad", async () => {
    await refused(
      written("bad.jsonl", '{"a":1}\n\n{"a":\n{"a":2}'),
      "INVALID_PARAMETER_FILE",
      /bad\.jsonl, row 2: is not JSON/,
    );
    await refused(written("nothing.ndjson", "\n\n"), "PARAMETER_FILE_UNUSABLE", /it has no rows$/);
  });
});

describe("a described file", () => {
  it("gives any row in any order, also with more rows than the index holds", async () => {
    const count = 300_000;
    const text = ["i,text", ...Array.from({ length: count }, (_, row) => `${row},"r\n${row % 7}"`)].join("\n");
    const description = await scanRowFile(written("long.csv", text));
    assert.equal(description.rows, count);
    const file = openRowFile(description);
    const random = seededRandom(1);
    const wanted = [0, 1, 63, 64, 65, count - 1, ...Array.from({ length: 300 }, () => Math.floor(random() * count))];
    for (const row of wanted) assert.deepEqual(file.row(row), { i: row, text: `r\n${row % 7}` });
    for (let row = 99_990; row < 100_200; row += 1) assert.deepEqual(file.row(row), { i: row, text: `r\n${row % 7}` });
    file.close();
  });

  it("is refused when its content has changed, its size or not", async () => {
    const file = written("changing.csv", "a\n1\n2\n");
    const description = await scanRowFile(file);
    openRowFile(description).close();
    for (const content of ["a\n1\n3\n", "a\n1\n2\n3\n"]) {
      writeFileSync(file, content);
      assert.throws(
        () => openRowFile(description),
        (thrown) => HoldfastError.is(thrown, "PARAMETER_FILE_CHANGED"),
      );
    }
    writeFileSync(file, "a\n1\n2\n");
    openRowFile(description).close();
    rmSync(file);
    assert.throws(
      () => openRowFile(description),
      (thrown) => HoldfastError.is(thrown, "PARAMETER_FILE_UNUSABLE"),
    );
  });

  it("is refused when it changes while it is read", async () => {
    const name = written("growing.jsonl", "1\n2\n");
    const file = openRowFile(await scanRowFile(name));
    writeFileSync(name, "1\n2\n3\n");
    assert.throws(
      () => file.row(0),
      (thrown) => HoldfastError.is(thrown, "PARAMETER_FILE_CHANGED"),
    );
    file.close();
  });

  it("names content by its hash, whatever its name", async () => {
    const [one, other] = [
      await scanRowFile(written("one.csv", "a\n1")),
      await scanRowFile(written("other.csv", "a\n1")),
    ];
    assert.equal(one.sha256, other.sha256);
    assert.match(one.sha256, /^[0-9a-f]{64}$/);
    assert.deepEqual({ ...one, path: "" }, { path: "", format: "csv", rows: 1, bytes: 3, sha256: one.sha256 });
    assert.ok(path.isAbsolute(one.path));
  });
});
