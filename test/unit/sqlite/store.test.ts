/** What can be wrong with the file: each gets one clear sentence with its code, and loses nothing. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, it } from "node:test";
import type { Broker, Outcome, Submission } from "../../../src/broker/contract.ts";
import { openSqliteBroker } from "../../../src/broker/sqlite/index.ts";
import { DEFAULT_RETRY } from "../../../src/core/retry.ts";
import { type ErrorCode, HoldfastError } from "../../../src/errors/index.ts";
import { systemClock } from "../../../src/util/clock.ts";

let folder = "";
let ids = 0;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "holdfast-store-"));
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

function open(file: string, maxPages?: number): Broker {
  return openSqliteBroker({
    file,
    clock: systemClock(),
    random: () => 0.5,
    newId: () => `id-${process.pid}-${(ids += 1)}`,
    ...(maxPages === undefined ? {} : { maxPages }),
  });
}

function batch(inputs: readonly string[]): Submission {
  const group = { name: "t", handler: "{}", pool: "default", requires: [], retry: DEFAULT_RETRY, maxLosses: 3 };
  return { name: "batch", kind: "batch", priority: 5, groups: [{ ...group, work: { kind: "tasks", inputs } }] };
}

function refusal(code: ErrorCode, part: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(HoldfastError.is(error, code), `expected ${code}, got ${String(error)}`);
    assert.match(error.message, part);
    return true;
  };
}

describe("opening a file", () => {
  it("refuses a second owner in this process and in another", async () => {
    const file = join(folder, "holdfast.db");
    const owner = open(file);
    assert.throws(() => open(file), refusal("BROKER_OWNED", /in use by another process/));
    const script = `const db = new (require("node:sqlite").DatabaseSync)(process.argv[1]);
      try { db.exec("BEGIN IMMEDIATE"); console.log("taken"); } catch (error) { console.log(error.message); }`;
    const said = execFileSync(process.execPath, ["-e", script, file], { encoding: "utf8" });
    assert.match(said, /locked/);
    await owner.close();
    await open(file).close();
  });

  it("refuses a database of a newer version and leaves it as it was", async () => {
    const file = join(folder, "holdfast.db");
    await open(file).close();
    const db = new DatabaseSync(file);
    db.exec("PRAGMA user_version = 99");
    db.close();
    assert.throws(() => open(file), refusal("STORE_TOO_NEW", /newer Holdfast \(format 99.*upgrade/));
    const after = new DatabaseSync(file);
    assert.equal(after.prepare("PRAGMA user_version").get()?.["user_version"], 99);
    after.close();
  });

  it("refuses a file that is no database, and a database of another program", () => {
    const garbage = join(folder, "garbage.db");
    writeFileSync(garbage, "this is not a database, whatever its name says".repeat(50));
    assert.throws(() => open(garbage), refusal("STORE_CORRUPT", /no Holdfast database or is damaged/));
    const foreign = join(folder, "foreign.db");
    const db = new DatabaseSync(foreign);
    db.exec("CREATE TABLE cats (name TEXT)");
    db.close();
    assert.throws(() => open(foreign), refusal("STORE_CORRUPT", /another program/));
  });

  it("refuses a folder that does not exist", () => {
    assert.throws(() => open(join(folder, "nowhere", "holdfast.db")), refusal("STORE_FAILED", /unable to open/));
  });
});

describe("a full disk", () => {
  it("refuses what does not fit, keeps what was acknowledged, and goes on when there is room", async () => {
    const file = join(folder, "holdfast.db");
    await survivesFullStore(open(file, 200), () => open(file));
  });

  it(
    "does so on a file system that is really full",
    { skip: canMount() ? false : "mounting a small file system needs root" },
    async () => {
      const mounted = join(folder, "mounted");
      execFileSync("mkdir", [mounted]);
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=2m", "tmpfs", mounted]);
      try {
        const file = join(mounted, "holdfast.db");
        await survivesFullStore(open(file), () => {
          execFileSync("mount", ["-o", "remount,size=64m", mounted]);
          return open(file);
        });
      } finally {
        execFileSync("umount", [mounted]);
      }
    },
  );
});

function canMount(): boolean {
  return process.platform === "linux" && process.getuid?.() === 0;
}

/** Fills the store, checks that the refusal is clear and harmless, then finishes everything with more room. */
async function survivesFullStore(full: Broker, reopen: () => Broker): Promise<void> {
  const { session } = await full.openSession({
    worker: "w",
    host: "h",
    pid: 1,
    pools: ["default"],
    capabilities: [],
    slots: 1,
  });
  const acknowledged: string[] = [];
  let refused: unknown;
  while (refused === undefined) {
    const submission = batch(Array.from({ length: 20 }, () => JSON.stringify("x".repeat(2_000))));
    try {
      acknowledged.push((await full.submit({ submissions: [submission] })).executions[0]?.executionId ?? "");
    } catch (error) {
      refused = error;
    }
  }
  refusal("STORE_FULL", /disk is full; nothing of this call was stored/)(refused);
  assert.ok(acknowledged.length > 0);
  const seen = await full.listExecutions({ limit: 1_000 });
  assert.deepEqual(seen.executions.map((view) => view.executionId).sort(), [...acknowledged].sort());
  assert.deepEqual((await full.heartbeat({ session, running: 0 })).cancel, []);
  await full.close();

  const roomy = reopen();
  const worker = await roomy.openSession({
    worker: "w2",
    host: "h",
    pid: 1,
    pools: ["default"],
    capabilities: [],
    slots: 1,
  });
  let reply = await roomy.claim({ session: worker.session, max: 100, waitMs: 0 });
  while (reply.leases.length > 0) {
    const outcomes = reply.leases.map((lease): Outcome => ({
      kind: "completed",
      lease: { executionId: lease.executionId, task: lease.task, token: lease.token },
      result: "1",
      durationMs: 1,
    }));
    reply = await roomy.commit({ session: worker.session, outcomes, claim: { max: 100, waitMs: 0 } });
  }
  for (const executionId of acknowledged) {
    const view = await roomy.getExecution({ executionId });
    assert.equal(view.state, "completed");
    assert.equal(view.counters.completed, 20);
  }
  await roomy.close();
}
