import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { lineOf, scan, siblingsOf, specifiersOf } from "./source-text.ts";

const blank = (text: string): string => scan(text).code;

describe("source text", () => {
  it("blanks comments and strings and keeps every place", () => {
    assert.equal(blank("a // b\nc /* d\ne */ f"), "a     \nc     \n     f");
    assert.equal(blank(`x("y\\"z", 'w')`), `x("    ", ' ')`);
    assert.equal(scan(`"\u{1F600}"; a`).code.length, `"\u{1F600}"; a`.length);
  });

  it("looks into templates", () => {
    assert.equal(blank("`a${b + `c${d}`}e` + f"), "` ${b + ` ${d}`} ` + f");
    assert.equal(blank("`${ {a: 1}.a } b`; c"), "`${ {a: 1}.a }  `; c");
  });

  it("tells a pattern from a division", () => {
    assert.equal(blank(`a / b / c; "d"`), `a / b / c; " "`);
    assert.equal(blank(`x = /"[/]'/g; y`), `x = /     /g; y`);
    assert.equal(blank(`f(/\\//, 'b')`), `f(/  /, ' ')`);
    assert.equal(blank(`return /a"b/.test(c)`), `return /   /.test(c)`);
  });

  it("finds what a file imports, types and dynamic imports included, and nothing in comments", () => {
    const source = scan(`
      import { a } from "./a.ts";
      import type { B } from "../b.ts";
      import "./side.ts";
      export * from './c.ts';
      // import x from "./not.ts";
      const later = await import("./later.ts");
      const text = 'import z from "./no.ts"';
      type T = import("./t.ts").T;
    `);
    assert.deepEqual(specifiersOf(source), ["./a.ts", "../b.ts", "./side.ts", "./c.ts", "./later.ts", "./t.ts"]);
  });

  it("finds what a file has another process load", () => {
    assert.deepEqual(siblingsOf(scan(`spawn(siblingModule(import.meta.url, "./runner"))`)), ["./runner"]);
  });

  it("counts lines from one", () => {
    assert.equal(lineOf("a\nb\nc", 4), 3);
  });
});
