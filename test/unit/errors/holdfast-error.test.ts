import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ERROR_CATALOGUE, type ErrorCode, HoldfastError } from "../../../src/errors/index.ts";

const ENTRIES = Object.entries(ERROR_CATALOGUE);

describe("errors", () => {
  it("make one sentence from the template and the details", () => {
    const error = new HoldfastError("BROKER_OWNED", { file: "a.db", owner: " (pid 12)" });
    assert.equal(error.message, "a.db is in use by another process (pid 12); connect to that one, or end it first.");
    assert.equal(new HoldfastError("UNKNOWN_OPTION", { option: "--x" }).message, "Unknown option --x.");
    assert.ok(
      new HoldfastError("NOTHING_TO_RUN", { module: "m" }).message.includes("{ over: … }"),
      "braces can be written",
    );
  });

  it("travel as plain data and come back the same", () => {
    const error = new HoldfastError("LEASE_LOST", { task: 3, execution: "e" });
    const again = HoldfastError.fromWire(
      JSON.parse(JSON.stringify(error.toWire())) as ReturnType<HoldfastError["toWire"]>,
    );
    assert.equal(again.code, "LEASE_LOST");
    assert.equal(again.message, error.message);
  });

  it("take a code of a newer version for an internal error, and a name of Object too", () => {
    assert.equal(HoldfastError.fromWire({ code: "FROM_THE_FUTURE", details: {} }).code, "INTERNAL");
    assert.equal(HoldfastError.fromWire({ code: "toString", details: {} }).code, "INTERNAL");
  });

  it("wrap anything thrown, and keep what is one already", () => {
    const cause = new TypeError("x is not a function");
    const wrapped = HoldfastError.from(cause);
    assert.equal(wrapped.code, "INTERNAL");
    assert.equal(wrapped.cause, cause);
    assert.match(HoldfastError.from("a text").message, /a text/);
    assert.equal(HoldfastError.from(wrapped), wrapped);
    assert.ok(
      HoldfastError.is(wrapped, "INTERNAL") && !HoldfastError.is(wrapped, "LEASE_LOST") && !HoldfastError.is(cause),
    );
  });
});

describe("error catalogue", () => {
  for (const [code, entry] of ENTRIES) {
    it(`${code} is one to handle: status, exit code, sentence`, () => {
      assert.match(code, /^[A-Z][A-Z_]+[A-Z]$/);
      assert.ok(entry.httpStatus >= 400 && entry.httpStatus < 600);
      assert.ok([1, 2, 3, 70].includes(entry.exitCode));
      assert.match(entry.message, /[.:}]$/);
      assert.ok(new HoldfastError(code as ErrorCode).message.length > 0);
    });
  }
});
