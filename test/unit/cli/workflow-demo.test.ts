/** The workflow demo without its processes: its graph, its plan, its phases, its book, and whom it kills. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { BrokerEvent, EventChange } from "../../../src/broker/contract.ts";
import { poolBalance } from "../../../src/cli/demo/workflow/balance.ts";
import { type CrisisView, type Kill, nextVictims, recoveriesOf } from "../../../src/cli/demo/workflow/crisis.ts";
import { deliveryWorkflow, expectedDigests } from "../../../src/cli/demo/workflow/delivery-tasks.ts";
import { DELIVERY, DELIVERY_POOLS, poolOf, poolOfWorker } from "../../../src/cli/demo/workflow/delivery.ts";
import { PhaseBook, PHASES } from "../../../src/cli/demo/workflow/phases.ts";
import { criticalPathMs, intoTaskMs, planWorkflowDemo } from "../../../src/cli/demo/workflow/plan.ts";
import { WorkBook } from "../../../src/cli/work-book.ts";
import { readGraph } from "../../../src/core/graph.ts";

describe("the delivery", () => {
  test("is a graph of eleven tasks on four pools, with the parents that it should have", () => {
    const { graph, problems } = readGraph(DELIVERY);
    assert.deepEqual([graph?.nodes, problems], [11, undefined]);
    const countIn = (pool: string): number => DELIVERY.filter((node) => node.pool === pool).length;
    assert.deepEqual(
      DELIVERY_POOLS.map(({ pool, max }) => [pool, max, countIn(pool)]),
      [
        ["architects", 3, 2],
        ["backend", 8, 3],
        ["frontend", 6, 3],
        ["qa", 4, 3],
      ],
    );
    const parents = (id: string): readonly string[] => DELIVERY.find((node) => node.id === id)?.after ?? [];
    assert.deepEqual(parents("dashboard"), ["db_integration", "ui_components"]);
    assert.deepEqual(parents("auth_ui"), ["auth_system", "ui_components"]);
    assert.deepEqual(parents("api_tests"), ["api_development", "db_integration", "auth_system"]);
    assert.deepEqual(parents("integration_tests"), ["api_tests", "ui_tests"]);
    assert.ok(DELIVERY.every(({ effort }) => effort >= 45 && effort <= 120));
  });

  test("is submitted as that graph, ahead of ordinary work", async () => {
    const { submission } = await deliveryWorkflow({ unitMs: 2, seed: 1 }).prepare();
    assert.equal(submission.priority, 8);
    const nodes = submission.groups.flatMap(({ pool, work }) => {
      assert.equal(work.kind, "tasks");
      if (work.kind !== "tasks") return [];
      return (work.labels ?? []).map((label, at) => ({ label, pool, after: work.after?.[at] ?? [] }));
    });
    const nameOf = (task: number): string => nodes[task]?.label ?? "";
    for (const { id, pool, after } of DELIVERY) {
      const node = nodes.find(({ label }) => label === id);
      assert.equal(node?.pool, pool);
      assert.deepEqual(node?.after.map(nameOf).toSorted(), after.toSorted());
    }
  });

  test("has digests that depend on its seed and on all parents", () => {
    const [one, other] = [expectedDigests(1), expectedDigests(2)];
    assert.deepEqual(
      [...one.keys()],
      DELIVERY.map(({ id }) => id),
    );
    assert.equal(new Set([...one.values(), ...other.values()]).size, 22);
    assert.deepEqual(one, expectedDigests(1));
  });

  test("names its workers after their pools", () => {
    assert.equal(poolOfWorker("backend-12"), "backend");
    assert.deepEqual([poolOf("qa")?.max, poolOf("sales")], [4, undefined]);
  });
});

describe("the plan of the workflow demo", () => {
  test("kills in the middle of the shortest task, and knows the longest way", () => {
    const quick = planWorkflowDemo("quick");
    assert.equal(intoTaskMs(quick), 90);
    // system_design, api_development, ui_components, dashboard, ui_tests, integration_tests
    assert.equal(criticalPathMs(quick), (60 + 90 + 80 + 70 + 60 + 120) * quick.unitMs);
    assert.ok(planWorkflowDemo("performance").workflows >= 100);
  });
});

describe("the phases", () => {
  test("end when the next begins, and those that never began are told, too", () => {
    let now = 0;
    const entered: string[] = [];
    const book = new PhaseBook(
      () => now,
      (number, name) => entered.push(`${number} ${name}`),
    );
    book.enter(1);
    book.fact(1, "a broker");
    book.done(1);
    now = 100;
    book.enter(2);
    now = 130;
    const report = book.report();
    assert.equal(report.length, 8);
    assert.deepEqual(report[0], {
      number: 1,
      name: PHASES[0],
      startedMs: 0,
      durationMs: 100,
      done: true,
      facts: ["a broker"],
    });
    assert.deepEqual([report[1]?.durationMs, report[1]?.done], [30, false]);
    assert.deepEqual([report[7]?.durationMs, report[7]?.done], [0, false]);
    assert.deepEqual(entered, [`1 ${PHASES[0]}`, `2 ${PHASES[1]}`]);
    assert.equal(book.current, 2);
  });
});

// ── The book ──────────────────────────────────────────────────────────────────────────────────

type Told = readonly [at: number, change: EventChange];

function bookOf(...told: readonly Told[]): WorkBook {
  const book = new WorkBook();
  tell(book, ...told);
  return book;
}

function tell(book: WorkBook, ...told: readonly Told[]): void {
  for (const [at, change] of told) {
    const event: BrokerEvent = { cursor: at, at, change, ...(change.kind === "session" ? {} : { executionId: "e" }) };
    book.apply(event);
  }
}

function joined(at: number, ...workers: readonly string[]): Told[] {
  return workers.map((worker) => [at, { kind: "session", session: `s-${worker}`, worker, state: "opened" }]);
}

function gone(at: number, worker: string, state: "left" | "lost" = "lost"): Told {
  return [at, { kind: "session", session: `s-${worker}`, worker, state }];
}

function moved(at: number, task: number, state: "running" | "completed" | "queued", how: string = ""): Told {
  const extra = state === "queued" ? { reason: how } : { worker: how };
  return [at, { kind: "tasks", state, tasks: [task], ...(how === "" ? {} : extra) }];
}

describe("the book of work", () => {
  test("keeps attempts with their ends, the time that tasks waited, and who was there", () => {
    const book = new WorkBook();
    book.begin("e", 0, [0, 1]);
    tell(
      book,
      ...joined(0, "qa-1", "qa-2"),
      moved(10, 0, "running", "qa-1"),
      moved(20, 1, "running", "qa-2"),
      gone(50, "qa-1"),
      moved(50, 0, "queued", "lost"),
      moved(60, 1, "completed"),
      moved(61, 0, "running", "qa-2"),
      moved(90, 0, "completed"),
      [91, { kind: "execution", state: "completed" }],
    );
    assert.deepEqual(
      book.attemptsOf("e", 0).map(({ worker, from, to, end }) => [worker, from, to, end]),
      [
        ["qa-1", 10, 50, "lost"],
        ["qa-2", 61, 90, "completed"],
      ],
    );
    assert.deepEqual(
      book.waits.map(({ task, from, to }) => [task, from, to]),
      [
        [0, 0, 10],
        [1, 0, 20],
        [0, 50, 61],
      ],
    );
    assert.deepEqual([book.completedTasks, book.present(), book.running()], [2, ["qa-2"], []]);
    assert.equal(book.states.get("e"), "completed");
  });

  test("does not count a task as waiting from the beginning when it runs already", () => {
    const book = bookOf(moved(5, 0, "running", "qa-1"));
    book.begin("e", 0, [0]);
    assert.deepEqual(book.waits, []);
  });
});

describe("the balance of a pool", () => {
  const wait = (from: number, to?: number) => ({ executionId: "e", task: 0, from, to });
  const stretch = (from: number, to: number) =>
    ({ executionId: "e", task: 0, worker: "qa-1", from, to, end: "completed" }) as const;
  const presence = (worker: string, from: number, to?: number) => ({ worker, from, to, end: "live" }) as const;

  test("is perfect while every worker works, however much waits", () => {
    const found = poolBalance({
      pool: "qa",
      presences: [presence("qa-1", 0)],
      stretches: [stretch(0, 50), stretch(50, 100)],
      waits: [wait(0, 50), wait(0)],
      until: 100,
    });
    assert.deepEqual([found.idleWhileWaitingMs, found.idleShare, found.busyMs], [0, 0, 100]);
    assert.deepEqual([found.mostWaiting, found.longestWaitMs, found.completed], [2, 100, 2]);
  });

  test("counts the time in which a worker is idle and work waits, once per pair of them", () => {
    const found = poolBalance({
      pool: "qa",
      presences: [presence("qa-1", 0), presence("qa-2", 0), presence("qa-3", 60, 80)],
      stretches: [stretch(0, 100)],
      waits: [wait(20, 50)],
      until: 100,
    });
    assert.deepEqual([found.idleWhileWaitingMs, found.busyMs, found.idleShare], [30, 100, 30 / 130]);
    assert.deepEqual([found.workers, found.mostWorkers], [3, 3]);
  });

  test("is nothing where nothing was", () => {
    const found = poolBalance({ pool: "qa", presences: [], stretches: [], waits: [], until: 0 });
    assert.deepEqual([found.idleShare, found.mostWorkers], [0, 0]);
  });
});

// ── The crisis ────────────────────────────────────────────────────────────────────────────────

const POOLS = DELIVERY_POOLS.map(({ pool }) => pool);

/** Two workers in each pool, the first of each at a task since 0. */
function busyBook(): WorkBook {
  return bookOf(
    ...joined(0, ...POOLS.flatMap((pool) => [`${pool}-1`, `${pool}-2`])),
    ...POOLS.map((pool, task) => moved(0, task, "running", `${pool}-1`)),
  );
}

function viewOf(book: WorkBook, changes: Partial<CrisisView> = {}): CrisisView {
  return { book, kills: [], alive: book.present(), now: 100, intoTaskMs: 50, afterTasks: 0, ...changes };
}

function killOf(worker: string, task: number, wave: Kill["wave"] = "one per pool"): Kill {
  const held = [{ executionId: "e", task, ranForMs: 100 }];
  return { wave, pool: poolOfWorker(worker), worker, pid: 1, at: 100, held };
}

describe("the crisis", () => {
  test("kills one worker of each pool that is in the middle of a task, one at a time", () => {
    const book = busyBook();
    assert.deepEqual(nextVictims(viewOf(book)), { wave: "one per pool", workers: ["architects-1"] });
    const kills = [killOf("architects-1", 0)];
    assert.deepEqual(nextVictims(viewOf(book, { kills })).workers, ["backend-1"]);
  });

  test("does not begin before some work is done, nor at the beginning of a task", () => {
    assert.deepEqual(nextVictims(viewOf(busyBook(), { afterTasks: 1 })).workers, []);
    assert.deepEqual(nextVictims(viewOf(busyBook(), { now: 49 })).workers, []);
  });

  test("strikes a pool again where the task was done before the signal came", () => {
    const book = busyBook();
    const kills = [killOf("architects-1", 0)];
    tell(book, moved(101, 0, "completed"), gone(110, "architects-1"), moved(120, 4, "running", "architects-2"));
    tell(book, ...joined(130, "architects-3"));
    const view = viewOf(book, { kills, now: 500, alive: ["architects-2", "architects-3"] });
    assert.deepEqual(nextVictims(view).workers, ["architects-2"]);
  });

  test("spares a worker who is alone in its pool", () => {
    const alive = ["architects-1", "backend-1", "backend-2"];
    assert.deepEqual(nextVictims(viewOf(busyBook(), { alive })).workers, ["backend-1"]);
  });

  /** All four pools were struck, and the second worker of each took over. */
  function struckBook(): { readonly book: WorkBook; readonly kills: readonly Kill[] } {
    const book = busyBook();
    const kills = POOLS.map((pool, task) => killOf(`${pool}-1`, task));
    tell(book, ...POOLS.flatMap((pool, task) => [gone(110, `${pool}-1`), moved(110, task, "queued", "lost")]));
    return { book, kills };
  }

  test("waits with the second wave until every broken task runs again, then takes half of all", () => {
    const { book, kills } = struckBook();
    assert.deepEqual(nextVictims(viewOf(book, { kills, now: 500 })), { wave: "half of all", workers: [] });
    tell(
      book,
      ...POOLS.map((pool, task) => moved(200, task, "running", `${pool}-2`)),
      ...joined(300, "architects-3", "backend-3", "frontend-3", "qa-3"),
    );
    const { wave, workers } = nextVictims(viewOf(book, { kills, now: 500 }));
    assert.equal(wave, "half of all");
    // Those at work first; each pool keeps one of its two.
    assert.deepEqual(workers.toSorted(), POOLS.map((pool) => `${pool}-2`).toSorted());
    const after = [...kills, killOf("backend-2", 1, "half of all")];
    assert.deepEqual(nextVictims(viewOf(book, { kills: after, now: 500 })).workers, []);
  });

  test("takes half rounded up, and leaves nobody out where every pool has one", () => {
    const { book, kills } = struckBook();
    tell(book, ...POOLS.map((pool, task) => moved(200, task, "running", `${pool}-2`)));
    const alive = ["architects-2", "backend-2", "qa-2"];
    assert.equal(nextVictims(viewOf(book, { kills, now: 500, alive })).workers.length, 2);
  });

  test("tells of each broken task when it was taken back and where it ran again", () => {
    const { book, kills } = struckBook();
    tell(book, moved(130, 1, "running", "backend-2"));
    const [first, second] = recoveriesOf(book, kills);
    assert.deepEqual([first?.noticedAt, first?.to, first?.runningAt], [110, undefined, undefined]);
    assert.deepEqual(second, {
      executionId: "e",
      task: 1,
      ranForMs: 100,
      wave: "one per pool",
      from: "backend-1",
      pool: "backend",
      killedAt: 100,
      noticedAt: 110,
      to: "backend-2",
      runningAt: 130,
    });
  });

  test("tells also of a task that a worker took after it was looked at", () => {
    const book = bookOf(...joined(0, "qa-1"), moved(0, 7, "running", "qa-1"), moved(99, 7, "completed"));
    tell(book, moved(101, 8, "running", "qa-1"), gone(110, "qa-1"), moved(110, 8, "queued", "lost"));
    const [only, ...others] = recoveriesOf(book, [killOf("qa-1", 7)]);
    assert.deepEqual([only?.task, only?.ranForMs, only?.noticedAt, others], [8, 0, 110, []]);
  });

  test("does not call broken what was done before the signal came", () => {
    const book = bookOf(...joined(0, "qa-1"), moved(0, 7, "running", "qa-1"), moved(101, 7, "completed"));
    assert.deepEqual(recoveriesOf(book, [killOf("qa-1", 7)]), []);
  });
});
