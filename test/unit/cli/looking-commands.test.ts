/** `why`, `dead-letters` and `pools`: at a server over its API, and at a store itself; the same answers. */
import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { openEmbedded } from "../../../src/app/open-broker.ts";
import type { Broker } from "../../../src/broker/contract.ts";
import { execute } from "../../../src/cli/main.ts";
import { sleep, systemClock } from "../../../src/util/clock.ts";
import { fakeContext } from "../../fixtures/cli/fake-context.ts";
import { scratchFolder } from "../../fixtures/sdk/scratch.ts";
import { FakeWorker } from "../../support/fake-worker.ts";
import { startHttpWorld } from "../../support/http-server.ts";
import { completed, failed, failure } from "../../support/outcomes.ts";
import { PendingCall } from "../../support/pending-call.ts";
import { group, submission, tasks } from "../../support/submissions.ts";

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

interface Place {
  readonly broker: Broker;
  readonly run: (...args: readonly string[]) => Promise<Ran>;
  /** How long the line takes: a server that has just begun has not measured anything. */
  readonly estimate: RegExp;
}

function runner(address: string): Place["run"] {
  return async (...args) => {
    const fake = fakeContext({ HOLDFAST_BROKER: address, COLUMNS: "200" });
    const code = await execute(args, fake.context);
    return { code, stdout: fake.stdout(), stderr: fake.stderr() };
  };
}

const PLACES: Readonly<Record<string, (t: TestContext) => Promise<Place>>> = {
  "at a server": async (t) => {
    const { broker, url } = await startHttpWorld(t);
    return { broker, run: runner(url), estimate: /no estimate yet/ };
  },
  "at a store": async (t) => {
    const folder = await scratchFolder(t);
    const broker = await openEmbedded({ dir: folder });
    t.after(() => broker.close());
    return { broker, run: runner(folder), estimate: /about \d+ (?:s|min)\./ };
  },
};

const ONCE = { limit: 0, baseMs: 1, factor: 1, maxMs: 1, jitter: 0, never: [] };

/** Two tasks in pool `gpu`; then three dead ones in `default`. */
async function prepared(broker: Broker): Promise<string> {
  const work = submission(
    [
      group(tasks(3), { name: "fit", retry: ONCE }),
      group(tasks(2), { name: "train", pool: "gpu", requires: ["gpu"] }),
      group(tasks(1, [[3]]), { name: "report" }),
    ],
    { name: "night" },
  );
  const { executions } = await broker.submit({ submissions: [work] });
  const worker = await FakeWorker.join(broker);
  for (const lease of await worker.leases(3)) await worker.deliver(failed(lease, failure("gpu", "it is too hot")));
  await worker.leave();
  return executions[0]?.executionId ?? "";
}

for (const [where, open] of Object.entries(PLACES)) {
  describe(`looking by command, ${where}`, () => {
    it("why tells of one task, in words and as JSON", async (t) => {
      const { broker, run } = await open(t);
      const id = await prepared(broker);
      const told = await run("why", id.slice(0, 6), "3");
      assert.equal(told.code, 0, told.stderr);
      assert.match(
        told.stdout,
        /^There is no live worker in pool gpu, nor in any other\.\nStart a worker with `holdfast worker --pools gpu`\./,
      );
      const json = JSON.parse((await run("why", id, "5", "--json")).stdout) as { name: string; why: { code: string } };
      assert.deepEqual([json.name, json.why.code], ["report", "waits-for-parents"]);
    });

    it("why tells of an execution what keeps its tasks, by reason", async (t) => {
      const { broker, run } = await open(t);
      const told = await run("why", await prepared(broker));
      assert.match(told.stdout, /6 tasks of execution \w+/);
      assert.match(
        told.stdout,
        /3 tasks \(0, 1, 2\)\n +Why +Task 0 \(fit\) is a dead letter after 1 failure: it is too hot/,
      );
      assert.match(told.stdout, /2 tasks \(3, 4\)\n +Why +There is no live worker in pool gpu/);
      const { executions } = await broker.submit({ submissions: [submission([group(tasks(1))])] });
      const alone = await run("why", executions[0]?.executionId ?? "");
      assert.match(alone.stdout, /1 task of execution \S+ \(pending\) does not run:/);
    });

    it("why says how many are ahead of a task, and how long that takes", async (t) => {
      const { broker, run, estimate } = await open(t);
      const { executions } = await broker.submit({ submissions: [submission([group(tasks(5_000))])] });
      const worker = await FakeWorker.join(broker);
      const asked = new PendingCall(run("why", executions[0]?.executionId ?? "", "4999"));
      // Work ends while the command looks, and goes on for as long as it does.
      let leases = await worker.leases(2);
      for (let done = 0; asked.state === "waiting" && done < 4_000; done += leases.length) {
        const outcomes = leases.map((lease) => completed(lease));
        leases = (await worker.reportAndClaim(outcomes, 2)).leases;
        await sleep(systemClock({ keepAlive: true }), 5);
      }
      const { stdout } = await asked.promise;
      assert.match(stdout, /^The only slot of pool default that could run it is busy; [\d,]+ items are ahead/);
      assert.match(stdout, estimate);
    });

    it("what is not there is said in one sentence", async (t) => {
      const { broker, run } = await open(t);
      const id = await prepared(broker);
      const [unknown, wrong] = [await run("why", id, "77"), await run("why", id, "x")];
      assert.match(unknown.stderr, /has no task 77\. \[TASK_UNKNOWN\]/);
      assert.deepEqual([wrong.code, /has no task "x"\. \[TASK_UNKNOWN\]/.test(wrong.stderr)], [1, true]);
    });

    it("edit says what it would do, and does it when it is told to", async (t) => {
      const { broker, run } = await open(t);
      const id = await prepared(broker);
      const asked = await run("edit", id.slice(0, 6), "--priority", "8", "--remove", "0,3");
      assert.equal(asked.code, 0, asked.stderr);
      assert.match(asked.stdout, /would be edited:\n +Priority +5 → 8\n +Removed +1 task: 3 \(queued\)\n/);
      assert.match(asked.stdout, /Skipped +1 task: 5\nNothing has been changed; --apply does it\./);
      assert.equal((await broker.getExecution({ executionId: id })).priority, 5);
      const done = await run("edit", id, "--priority", "8", "--remove", "0,3", "--apply");
      assert.match(done.stdout, /is edited:\n/);
      const { priority, counters } = await broker.getExecution({ executionId: id });
      assert.deepEqual([priority, counters.skipped], [8, 2]);
      assert.match((await run("edit", id, "--remove", "0")).stdout, /^Nothing of this is to be changed/);
      const last = JSON.parse((await run("edit", id, "--remove", "4", "--apply", "--json")).stdout) as {
        applied: boolean;
        changes: { ends: string };
      };
      assert.deepEqual([last.applied, last.changes.ends], [true, "failed"]);
      const ended = await run("edit", id, "--priority", "3");
      assert.match(ended.stderr, /is already failed\. \[EXECUTION_ENDED\]/);
    });

    it("edit rewires, ranks, holds and lets go, and takes it back", async (t) => {
      const { broker, run } = await open(t);
      const id = await prepared(broker);
      const edits = ["--rewire", "5=4", "--rewire", "4=", "--rank", "4=2.5", "--rank", "3=1", "--hold", "3,5"];
      const asked = await run("edit", id, ...edits);
      assert.match(asked.stdout, /edited:\n +Rewired +1 task\n +Ranked +2 tasks\n +Held +2 tasks\n/, asked.stderr);
      assert.equal((await run("edit", id, ...edits, "--apply")).code, 0);
      const [, , , third, fourth, last] = (await broker.listTasks({ executionId: id, limit: 9 })).tasks;
      assert.deepEqual([third?.state, third?.held, fourth?.rank, last?.held], ["blocked", true, 2.5, true]);
      assert.match((await run("edit", id, "--unhold", "3", "--apply")).stdout, /Let go +1 task\n/);
      assert.match((await run("edit", id, "--undo")).stdout, /would be edited:\n +Held +1 task\n/);
      const undone = JSON.parse((await run("edit", id, "--undo", "--apply", "--json")).stdout) as {
        changes: { held: number };
      };
      assert.equal(undone.changes.held, 1);
      assert.match((await run("edit", id, "--undo")).stderr, /no last edit to take back \[INVALID_REQUEST\]/);
      const cycle = await run("edit", id, "--rewire", "4=5");
      assert.match(cycle.stderr, /would be a cycle: 4 waits for 5, 5 waits for 4 \[INVALID_REQUEST\]/);
    });

    it("dead-letters lists, shows, replays and discards", async (t) => {
      const { broker, run } = await open(t);
      const id = await prepared(broker);
      const list = await run("dead-letters");
      assert.match(list.stdout, new RegExp(`${id}~0 +fit +gpu +it is too hot`));
      assert.match((await run("dead-letters", "list", "--class", "timeout")).stdout, /no such dead letters/);
      const show = await run("dead-letters", "show", `${id.slice(0, 8)}~2`);
      assert.match(show.stdout, /Task +2 \(fit\) of night\n/);
      assert.match(show.stdout, /Input +2\n/);
      const replay = await run("dead-letters", "replay", `${id}~0`);
      assert.match(replay.stdout, /1 dead letter found, 1 item queued again/);
      const discard = await run("dead-letters", "discard", "--name", "fit", "--since", "1h");
      assert.match(discard.stdout, /2 dead letters found, 2 items discarded/);
      const left = JSON.parse((await run("dead-letters", "list", "--json")).stdout) as { letters: unknown[] };
      assert.deepEqual(left.letters, []);
    });

    it("dead-letters does nothing to all of them by a slip", async (t) => {
      const { broker, run } = await open(t);
      await prepared(broker);
      const bare = await run("dead-letters", "replay");
      assert.deepEqual([bare.code, /or --all/.test(bare.stderr)], [2, true]);
      assert.equal((await run("dead-letters", "replay", "x~1", "--all")).code, 2);
      assert.match((await run("dead-letters", "replay", "--all")).stdout, /3 dead letters found, 3 items/);
    });

    it("pools are listed, paused and resumed", async (t) => {
      const { broker, run } = await open(t);
      const id = await prepared(broker);
      assert.match((await run("pools", "pause", "gpu")).stdout, /Pool gpu is paused/);
      assert.match((await run("pools")).stdout, /gpu +paused/);
      assert.match((await run("why", id, "3")).stdout, /^Pool gpu is paused/);
      assert.match((await run("pools", "resume", "gpu")).stdout, /Pool gpu is open/);
      assert.match((await run("pools", "pause", "--all")).stdout, /All pools are paused/);
      assert.equal((await run("pools", "pause")).code, 2);
    });

    it("pools are limited, and who stands by is listed", async (t) => {
      const { broker, run } = await open(t);
      for (const worker of ["w1", "w2", "w3"]) await FakeWorker.join(broker, { worker, pools: ["gpu"] });
      const limited = await run("pools", "limit", "gpu", "--min", "1", "--max", "2");
      assert.equal(limited.stdout, "At most 2 workers of pool gpu get its work. 1 of 3 stands by.\n");
      assert.match((await run("pools")).stdout, /STANDBY +LIMITS\n.*gpu .* 1 +1 to 2\n/s);
      const few = await run("pools", "limit", "gpu", "--min", "5");
      assert.equal(few.stdout, "All workers of pool gpu get its work. It has 3 of the 5 that it should have.\n");
      const wrong = await run("pools", "limit", "gpu", "--min", "3", "--max", "2");
      assert.match(wrong.stderr, /--max is 2; expected at least --min, which is 3\. \[INVALID_OPTION\]/);
      const view = JSON.parse((await run("pools", "limit", "gpu", "--max", "0", "--json")).stdout) as { max: number };
      assert.equal(view.max, 0);
    });
  });
}
