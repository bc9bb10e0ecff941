/** The audit log: what is in a line, what is not, and the file it goes to. */
import assert from "node:assert/strict";
import { readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { chmod, rm } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import type { AuditEntry } from "../../../src/server/access.ts";
import { AuditLog, MAX_REFUSALS, REFUSALS_WINDOW_MS } from "../../../src/server/access/audit.ts";
import { AuditFile, auditToLog } from "../../../src/server/access/audit-file.ts";
import { createLogger, silentLogger } from "../../../src/telemetry/log.ts";
import { newTestSecret } from "../../support/access.ts";
import { withTemporaryFolder } from "../../support/temporary-folder.ts";
import { VIRTUAL_START, VirtualClock } from "../../support/virtual-clock.ts";

const ENTRY: AuditEntry = {
  requestId: "r1",
  principal: { name: "ci", role: "submit", tokenId: "k7m2" },
  remoteAddress: "203.0.113.9",
  operation: "cancelExecution",
  params: { executionId: "x1" },
  status: 200,
};

function logOf(): { readonly log: AuditLog; readonly lines: Record<string, unknown>[]; readonly clock: VirtualClock } {
  const clock = new VirtualClock();
  const lines: Record<string, unknown>[] = [];
  const write = (line: string): void => void lines.push(JSON.parse(line) as Record<string, unknown>);
  return { log: new AuditLog({ write, close: () => undefined }, clock), lines, clock };
}

test("a line says who did what from where and how it ended", () => {
  const { log, lines } = logOf();
  log.record(ENTRY);
  log.record({ requestId: "r2", remoteAddress: "::1", operation: "createToken", status: 401, error: "TOKEN_REFUSED" });
  const time = new Date(VIRTUAL_START).toISOString();
  assert.deepEqual(lines, [
    {
      time,
      requestId: "r1",
      principal: "ci",
      role: "submit",
      tokenId: "k7m2",
      remoteAddress: "203.0.113.9",
      operation: "cancelExecution",
      params: { executionId: "x1" },
      status: 200,
    },
    { time, requestId: "r2", remoteAddress: "::1", operation: "createToken", status: 401, error: "TOKEN_REFUSED" },
  ]);
});

test("a line holds no secret, no payload, and no end of lines of its own", () => {
  const { log, lines } = logOf();
  const token = `hf_k7m2_${newTestSecret()}`;
  const params = {
    tokenId: "k7m2",
    token: "abc",
    Authorization: "abc",
    workerSecret: "abc",
    password: "abc",
    note: `see ${token}`,
    late: `${"x".repeat(250)}${token}`,
    long: "y".repeat(100_000),
    body: { deep: "abc" },
    list: ["abc", "abc"],
    two: "one\ntwo",
  };
  log.record({ ...ENTRY, params, operation: `/executions?token=${token}`, requestId: "z".repeat(1_000) });
  const text = JSON.stringify(lines);
  assert.ok(!text.includes(token.slice(0, -40)) || !text.includes(token.slice(8, 20)));
  assert.ok(!text.includes(token.slice(8)));
  assert.ok(!text.includes("abc"));
  assert.ok(text.length < 3_000);
  const shown = lines[0]?.["params"] as Record<string, unknown>;
  assert.equal(shown["tokenId"], "k7m2");
  assert.equal(shown["list"], "[2]");
  assert.equal(shown["two"], "one\ntwo");
  assert.equal(lines[0]?.["operation"], "/executions");
});

test("a storm of refusals is counted, changing calls are told all the same", async () => {
  const { log, lines, clock } = logOf();
  const refusal: AuditEntry = { ...ENTRY, status: 401, error: "TOKEN_REFUSED" };
  for (let at = 0; at < 10_000; at += 1) log.record(refusal);
  log.record(ENTRY);
  assert.equal(lines.length, MAX_REFUSALS + 1);
  await clock.advance(REFUSALS_WINDOW_MS);
  assert.equal(lines.at(-1)?.["refusalsNotListed"], 10_000 - MAX_REFUSALS);
  log.record(refusal);
  assert.equal(lines.at(-1)?.["status"], 401);
  for (let at = 0; at < MAX_REFUSALS; at += 1) log.record(refusal);
  log.close();
  assert.equal(lines.at(-1)?.["refusalsNotListed"], 1);
  assert.equal(clock.waiting, 0);
});

test("the file is its user's alone, is added to, and begins anew after a rotation", async () => {
  await withTemporaryFolder(async (folder) => {
    const file = path.join(folder, "audit.jsonl");
    writeFileSync(file, "before\n", { mode: 0o644 });
    const clock = new VirtualClock();
    const sink = new AuditFile({ file, clock, logger: silentLogger });
    const other = new AuditFile({ file, clock, logger: silentLogger });
    assert.equal(statSync(file).mode & 0o777, 0o600);
    sink.write("one");
    other.write("two");
    sink.write("three");
    assert.equal(readFileSync(file, "utf8"), "before\none\ntwo\nthree\n");
    renameSync(file, `${file}.1`);
    await clock.advance(1_000);
    sink.write("four");
    other.write("five");
    assert.equal(readFileSync(file, "utf8"), "four\nfive\n");
    assert.equal(statSync(file).mode & 0o777, 0o600);
    await rm(file);
    await clock.advance(1_000);
    sink.write("six");
    assert.equal(readFileSync(file, "utf8"), "six\n");
    sink.close();
    sink.close();
    other.close();
  });
});

test("a file that cannot be written is said once a minute and stops nobody", async () => {
  await withTemporaryFolder(async (folder) => {
    const inner = path.join(folder, "inner");
    const file = path.join(inner, "audit.jsonl");
    assert.throws(() => new AuditFile({ file, clock: new VirtualClock(), logger: silentLogger }), { code: "ENOENT" });
    const { mkdir } = await import("node:fs/promises");
    await mkdir(inner);
    const said: string[] = [];
    const logger = createLogger({ level: "error", format: "json", destination: { write: (line) => said.push(line) } });
    const clock = new VirtualClock();
    const sink = new AuditFile({ file, clock, logger });
    await rm(inner, { recursive: true });
    await clock.advance(1_000);
    for (let at = 0; at < 100; at += 1) sink.write("lost");
    assert.equal(said.length, 1);
    await clock.advance(60_000);
    sink.write("lost");
    assert.match(said[1] ?? "", /"missing":101/);
    await mkdir(inner);
    sink.write("found");
    assert.equal(readFileSync(file, "utf8"), "found\n");
    sink.close();
    await chmod(file, 0o600);
  });
});

test("the log takes the lines where there is no file, and shows no token in any of its lines", () => {
  const said: string[] = [];
  const logger = createLogger({ level: "warn", format: "json", destination: { write: (line) => said.push(line) } });
  const sink = auditToLog(logger);
  new AuditLog(sink, new VirtualClock()).record(ENTRY);
  assert.equal(said.length, 1, "also where the log tells of less");
  const { part, audit } = JSON.parse(said[0] ?? "") as { readonly part: string; readonly audit: { operation: string } };
  assert.deepEqual([part, audit.operation], ["audit", "cancelExecution"]);
  const secret = newTestSecret();
  logger.warn({ note: `hf_k7m2_${secret}` }, `made hf_k7m2_${secret}`);
  assert.ok(!(said[1] ?? "").includes(secret));
  assert.match(said[1] ?? "", /hf_k7m2_\[redacted\]/);
});
