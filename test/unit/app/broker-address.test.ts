import assert from "node:assert/strict";
import path from "node:path";
import { test } from "node:test";
import { parseBrokerAddress } from "../../../src/app/broker-address.ts";
import { HoldfastError } from "../../../src/errors/index.ts";

test("a folder holds the database and its owner's note", () => {
  const dir = path.resolve("some/folder");
  const expected = { kind: "home", file: path.join(dir, "holdfast.db"), ownerFile: path.join(dir, "owner.json") };
  assert.deepEqual(parseBrokerAddress("some/folder"), expected);
  assert.deepEqual(parseBrokerAddress(`${dir}/`), expected);
  assert.equal(parseBrokerAddress(".holdfast").kind, "home");
});

test("a named file has a note of its own", () => {
  const file = path.resolve("a.db");
  assert.deepEqual(parseBrokerAddress("sqlite:a.db"), { kind: "home", file, ownerFile: `${file}.owner.json` });
  assert.deepEqual(parseBrokerAddress("SQLITE:/tmp/b.db"), {
    kind: "home",
    file: "/tmp/b.db",
    ownerFile: "/tmp/b.db.owner.json",
  });
});

test("a server's address is taken as it is", () => {
  const addresses = [
    "ws://localhost:7420",
    "wss://broker.example/broker",
    "ws://[::1]:1/x",
    "http://a",
    "https://a:1/x",
  ];
  for (const url of addresses) assert.deepEqual(parseBrokerAddress(url), { kind: "server", urls: [url] });
});

test("several servers stand with commas between them, the scheme once or each time", () => {
  const urls = ["http://a:7420", "http://b:7421", "http://[::1]:7422"];
  assert.deepEqual(parseBrokerAddress(urls.join(",")), { kind: "server", urls });
  assert.deepEqual(parseBrokerAddress("http://a:7420, b:7421,[::1]:7422"), { kind: "server", urls });
});

test("anything else is refused with what was expected, and without its secrets", () => {
  for (const wrong of [
    "amqp://host",
    "ws://",
    "wss:",
    "http://",
    "http://a,",
    "http://a,ftp://b",
    "sqlite:",
    "sqlite://host/x",
    "",
    "  ",
  ]) {
    assert.throws(
      () => parseBrokerAddress(wrong),
      (thrown) => HoldfastError.is(thrown, "INVALID_BROKER_URL") && thrown.message.includes("expected a folder"),
      wrong,
    );
  }
  assert.throws(
    () => parseBrokerAddress("amqp://me:secret@host/?token=hidden"),
    (thrown: Error) => {
      assert.doesNotMatch(thrown.message, /secret|hidden/);
      return true;
    },
  );
});
