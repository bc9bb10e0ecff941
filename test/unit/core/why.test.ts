import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { TASK_STATES } from "../../../src/core/states.ts";
import { type FactsLook, type TaskLook, why, type WhyCode, type WorkerLook } from "../../../src/core/why.ts";

const NOW = Date.UTC(2026, 0, 1, 12, 0, 0);
const FIT: TaskLook = {
  executionId: "k7m2",
  task: 3,
  name: "fit",
  pool: "train",
  state: "queued",
  failures: 0,
  losses: 0,
};
const NO_ITEMS = { total: 100, queued: 0, scheduled: 0, running: 0, failed: 0 };

function facts(changes: Partial<FactsLook> = {}, task: Partial<TaskLook> = {}): FactsLook {
  return {
    task: { ...FIT, ...task },
    execution: { executionId: "k7m2", state: "running" },
    requires: [],
    pool: { pool: "train", paused: false },
    waitsFor: [],
    waitsForCount: 0,
    ahead: 0,
    ...changes,
  };
}

function worker(name: string, changes: Partial<WorkerLook> = {}): WorkerLook {
  return { worker: name, pools: ["train"], capabilities: ["cpu"], slots: 4, leases: 0, state: "live", ...changes };
}

const IDLE = [worker("w1")];

function answer(look: FactsLook, sessions: readonly WorkerLook[] = IDLE, rate?: number): ReturnType<typeof why> {
  return why({ facts: look, sessions, now: NOW, ...(rate === undefined ? {} : { rate }) });
}

describe("why: tasks that have ended", () => {
  it("says that a task has its result", () => {
    const said = answer(facts({}, { state: "completed" }));
    assert.equal(said.code, "ended");
    assert.equal(said.sentence, "Task 3 (fit) has completed.");
    assert.deepEqual(said.also, []);
  });

  it("says why a task was skipped", () => {
    const waitsFor = [{ task: 1, name: "load", state: "failed" }] as const;
    const said = answer(facts({ waitsFor, waitsForCount: 1 }, { state: "skipped" }));
    assert.equal(
      said.sentence,
      "Task 3 (fit) was skipped, because a task that it needed did not complete: task 1 (load, failed).",
    );
  });

  it("says that a task was removed, whatever it waited for", () => {
    const waitsFor = [{ task: 1, name: "load", state: "running" }] as const;
    const said = answer(facts({ waitsFor, waitsForCount: 1 }, { state: "skipped", removed: true }));
    assert.equal(said.sentence, "Task 3 (fit) was removed from its execution.");
    assert.match(said.startsWhen, /added anew/);
    assert.deepEqual(said.code === "ended" && said.parents, []);
  });

  it("says why a task is a dead letter, and how to replay it", () => {
    const failure = { class: "user-error", message: "no such\nfile." } as const;
    const said = answer(facts({}, { state: "failed", failures: 4, losses: 1, lastFailure: failure }));
    assert.equal(said.code, "dead-letter");
    assert.equal(said.sentence, "Task 3 (fit) is a dead letter after 4 failures and 1 lost worker: no such file.");
    assert.match(said.startsWhen, /holdfast dead-letters replay k7m2~3/);
  });
});

describe("why: tasks that run", () => {
  it("names the worker, and since when", () => {
    const said = answer(facts({ runningSince: NOW - 30_000 }, { state: "running", worker: "w1" }));
    assert.equal(said.sentence, "Task 3 (fit) runs on worker w1 since 2026-01-01 11:59:30 UTC (30 s).");
  });

  it("tells of an array how much of it runs, and what holds the rest", () => {
    const items = { ...NO_ITEMS, running: 4, queued: 60, failed: 2 };
    const paused = { pool: "train", paused: true, pause: { at: NOW, by: "ada" } };
    const said = answer(facts({ pool: paused }, { state: "running", items }));
    assert.equal(said.sentence, "4 items of task 3 (fit) run, 60 wait.");
    assert.deepEqual(
      said.also.map(({ code }) => code),
      ["pool-paused", "dead-letter"],
    );
  });

  it("tells of an array that has begun and of which nothing runs what it waits for", () => {
    const items = { ...NO_ITEMS, queued: 60 };
    assert.equal(answer(facts({}, { state: "running", items }), []).code, "no-worker");
  });

  it("does not say of an array's rest that it stands in line behind itself", () => {
    const items = { ...NO_ITEMS, running: 4, queued: 60 };
    assert.deepEqual(answer(facts({ ahead: 9 }, { state: "running", items })).also, []);
  });
});

describe("why: tasks that wait", () => {
  it("names the parents that are not there yet", () => {
    const waitsFor = [
      { task: 1, name: "load", state: "running" },
      { task: 2, name: "clean", state: "queued" },
    ] as const;
    const said = answer(facts({ waitsFor, waitsForCount: 9 }, { state: "blocked" }));
    assert.equal(said.code, "waits-for-parents");
    assert.equal(said.sentence, "Task 3 (fit) waits for task 1 (load, running), task 2 (clean, queued) and 7 more.");
  });

  it("says who has paused the execution, and since when", () => {
    const execution = { executionId: "k7m2", state: "paused", paused: { by: "ada", at: NOW - 180_000 } } as const;
    const said = answer(facts({ execution }));
    assert.equal(said.sentence, "Execution k7m2 is paused by ada since 2026-01-01 11:57:00 UTC (3 min).");
    assert.match(said.startsWhen, /holdfast resume k7m2/);
  });

  it("says who has paused the pool", () => {
    const said = answer(facts({ pool: { pool: "train", paused: true, pause: { by: "ada", at: NOW } } }));
    assert.equal(said.code, "pool-paused");
    assert.match(said.sentence, /^Pool train is paused by ada since/);
  });

  it("tells a delay from a backoff", () => {
    const delayed = answer(facts({ notBefore: NOW + 90_000 }, { state: "scheduled" }));
    assert.equal(delayed.sentence, "Task 3 (fit) is not to start before 2026-01-01 12:01:30 UTC (in 90 s).");
    const lastFailure = { class: "user-error", message: "boom" } as const;
    const again = answer(
      facts({ notBefore: NOW + 10_000, retryLimit: 3 }, { state: "scheduled", failures: 2, lastFailure }),
    );
    assert.equal(again.code, "backing-off");
    assert.equal(
      again.sentence,
      "Task 3 (fit) is tried again at 2026-01-01 12:00:10 UTC (in 10 s), after failure 2 of at most 4: boom.",
    );
  });

  it("takes a time that has come for no obstacle", () => {
    assert.equal(answer(facts({ notBefore: NOW }, { state: "scheduled" })).code, "next-in-line");
  });

  it("says that nobody serves the pool, and what the others serve", () => {
    const said = answer(facts({ requires: ["gpu"] }), [worker("w1", { pools: ["default"] })]);
    assert.equal(said.code, "no-worker");
    assert.equal(said.sentence, "There is no live worker in pool train; those that live serve default.");
    assert.equal(said.startsWhen, "Start a worker with `holdfast worker --pools train`.");
  });

  it("counts and names the workers that lack what is required", () => {
    const sessions = [worker("w1"), worker("w2"), worker("w3"), worker("far", { pools: ["x"], capabilities: ["gpu"] })];
    const said = answer(facts({ requires: ["cpu", "gpu"] }), sessions);
    assert.equal(said.code, "no-capable-worker");
    assert.equal(said.sentence, "No live worker in pool train has gpu (3 workers lack it: w1, w2, w3).");
    assert.equal(said.startsWhen, "Start a worker with `holdfast worker --pools train --capabilities cpu,gpu`.");
  });

  it("asks for all of it where each worker has a part", () => {
    const sessions = [worker("w1", { capabilities: ["gpu"] }), worker("w2", { capabilities: ["ssd"] })];
    const said = answer(facts({ requires: ["gpu", "ssd"] }), sessions);
    assert.equal(said.sentence, "No live worker in pool train has gpu and ssd (2 workers lack some of it: w1, w2).");
  });

  it("says that those who could are draining", () => {
    const sessions = [worker("w1", { state: "draining", capabilities: ["gpu"] }), worker("w2")];
    const said = answer(facts({ requires: ["gpu"] }), sessions);
    assert.equal(said.sentence, "1 worker in pool train that could run it is draining (w1).");
  });

  it("says how many slots are busy, how many are ahead, and how long that takes", () => {
    const sessions = [worker("w1", { leases: 9 }), worker("w2", { leases: 4 })];
    const said = answer(facts({ ahead: 41 }), sessions, 2.1);
    assert.equal(said.code, "slots-busy");
    assert.equal(
      said.sentence,
      "All 8 slots of pool train that could run it are busy; 41 items are ahead of it, about 20 s.",
    );
    assert.match(answer(facts({ ahead: 41 }), sessions).sentence, /no estimate yet/);
    assert.match(answer(facts({ ahead: 41 }), sessions, 0).sentence, /no estimate yet/);
  });

  it("says that a task is next in line", () => {
    const said = answer(facts(), [worker("w1", { leases: 1 })]);
    assert.equal(said.sentence, "Task 3 (fit) is next in line, and 3 slots of pool train are free.");
  });
});

describe("why: parts of workflows", () => {
  it("names a task as its execution does", () => {
    const waitsFor = [{ task: 1, name: "load", label: "release/load", state: "running" }] as const;
    const said = answer(facts({ waitsFor, waitsForCount: 1 }, { state: "blocked", label: "release/fit" }));
    assert.equal(said.sentence, "Task 3 (release/fit) waits for task 1 (release/load, running).");
  });

  it("says that a task is held, what else it waits for, and how to let it go", () => {
    const waitsFor = [{ task: 1, name: "load", state: "running" }] as const;
    const said = answer(facts({ waitsFor, waitsForCount: 1 }, { state: "blocked", held: true }));
    assert.equal(said.sentence, "Task 3 (fit) is held.");
    assert.match(said.startsWhen, /holdfast edit k7m2 --unhold 3 --apply/);
    assert.deepEqual(
      said.also.map(({ code }) => code),
      ["waits-for-parents"],
    );
  });

  it("says how long a task sleeps", () => {
    const said = answer(facts({}, { state: "scheduled", suspended: { until: "delay" }, notBefore: NOW + 5_000 }));
    assert.equal(said.sentence, "Task 3 (fit) sleeps until 2026-01-01 12:00:05 UTC (in 5 s).");
  });

  it("says which signal a task waits for, for how long, and with what to give it", () => {
    const suspended = { until: "signal", signal: "go now" } as const;
    const said = answer(facts({}, { state: "blocked", suspended }));
    assert.equal(said.sentence, "Task 3 (fit) waits for signal go now.");
    assert.match(said.startsWhen, /`holdfast signal k7m2 'go now'`.*`holdfast approve k7m2 'go now'`/);
    const limited = answer(facts({}, { state: "scheduled", suspended, notBefore: NOW + 5_000 }));
    assert.match(limited.sentence, /signal go now, until 2026-01-01 12:00:05 UTC \(in 5 s\) at most\.$/);
    assert.deepEqual(limited.also, []);
  });

  it("says which tasks that it has added a task waits for", () => {
    const waitsFor = [{ task: 9, name: "item", label: "fit[0]", state: "queued" }] as const;
    const said = answer(facts({ waitsFor, waitsForCount: 30 }, { state: "blocked", suspended: { until: "tasks" } }));
    assert.equal(said.sentence, "Task 3 (fit) waits for tasks that it has added: task 9 (fit[0], queued) and 29 more.");
  });

  it("says that a task is there for when something fails", () => {
    const said = answer(facts({}, { state: "blocked" }));
    assert.equal(said.sentence, "Task 3 (fit) is there for when something of execution k7m2 has failed.");
    const held = answer(facts({}, { state: "blocked", held: true }));
    assert.deepEqual(held.also, []);
  });

  it("tells a task that its own condition has skipped from one that was not needed", () => {
    const condition = answer(facts({}, { state: "skipped", attempts: 1 }));
    assert.match(condition.sentence, /was skipped: its own condition did not hold/);
    const spare = answer(facts({}, { state: "skipped", attempts: 0 }));
    assert.match(spare.sentence, /was skipped: .*something had failed, and nothing had\.$/);
  });

  it("says that those who could run it stand by, because their pool has its maximum", () => {
    const pool = { pool: "train", paused: false, max: 1 };
    const later = worker("w2", { capabilities: ["gpu"], openedAt: 2 });
    const said = answer(facts({ pool, requires: ["gpu"] }), [later, worker("w1", { openedAt: 1 })]);
    assert.equal(said.sentence, "Pool train has its maximum of 1 worker; w2, which could run it, stands by.");
    assert.match(said.startsWhen, /holdfast pools limit train --max 2/);
    const none = answer(facts({ pool: { ...pool, max: 0 } }));
    assert.equal(none.sentence, "Pool train has a maximum of no workers; w1, which could run it, stands by.");
  });

  it("counts only the slots of workers that get the pool's work", () => {
    const pool = { pool: "train", paused: false, max: 1 };
    const said = answer(facts({ pool, ahead: 3 }), [
      worker("w1", { openedAt: 1, leases: 4 }),
      worker("w2", { openedAt: 2 }),
    ]);
    assert.match(said.sentence, /^All 4 slots of pool train that could run it are busy; 3 items/);
  });
});

describe("why: several reasons at once", () => {
  it("puts what a person has stopped first, and lists the others", () => {
    const said = answer(
      facts(
        {
          execution: { executionId: "k7m2", state: "paused" },
          pool: { pool: "train", paused: true },
          waitsFor: [{ task: 1, name: "load", state: "queued" }],
          waitsForCount: 1,
        },
        { state: "blocked" },
      ),
      [],
    );
    assert.deepEqual(
      [said, ...said.also].map(({ code }) => code),
      ["execution-paused", "pool-paused", "waits-for-parents", "no-worker"],
    );
  });

  it("quotes what a shell would take apart", () => {
    const pool = { pool: "a b'c", paused: false };
    assert.match(answer(facts({ pool }), []).startsWhen, /--pools 'a b'\\''c'/);
  });
});

const count = fc.nat({ max: 50 });
const workers = fc.array(
  fc.record({
    worker: fc.string(),
    pools: fc.subarray(["train", "default"]),
    capabilities: fc.subarray(["cpu", "gpu"]),
    slots: fc.integer({ min: 1, max: 8 }),
    leases: fc.nat({ max: 9 }),
    state: fc.constantFrom("live", "draining"),
  }),
  { maxLength: 30 },
);
const looks = fc
  .record({
    state: fc.constantFrom(...TASK_STATES),
    items: fc.option(fc.record({ total: count, queued: count, scheduled: count, running: count, failed: count })),
    failures: count,
    paused: fc.boolean(),
    poolPaused: fc.boolean(),
    parents: count,
    ahead: count,
    notBefore: fc.option(fc.integer({ min: NOW - 9_000, max: NOW + 9_000_000 })),
    requires: fc.subarray(["cpu", "gpu"]),
    max: fc.option(fc.nat({ max: 3 })),
    held: fc.boolean(),
    suspended: fc.option(fc.record({ until: fc.constantFrom("delay", "signal", "tasks"), signal: fc.string() })),
  })
  .map(({ state, items, failures, notBefore, max, held, suspended, ...rest }) =>
    facts(
      {
        execution: { executionId: "k7m2", state: rest.paused ? "paused" : "running" },
        pool: { pool: "train", paused: rest.poolPaused, ...(max === null ? {} : { max }) },
        waitsForCount: rest.parents,
        ahead: rest.ahead,
        requires: rest.requires,
        ...(notBefore === null ? {} : { notBefore }),
      },
      {
        state,
        failures,
        ...(items === null ? {} : { items }),
        ...(held ? { held } : {}),
        ...(suspended === null ? {} : { suspended }),
      },
    ),
  );

/** Codes that say what holds a task back now. */
const HOLDING: readonly WhyCode[] = [
  "execution-paused",
  "pool-paused",
  "held",
  "waits-for-signal",
  "waits-for-failure",
  "no-worker",
  "no-capable-worker",
  "pool-full",
];

describe("why: whatever the state", () => {
  it("has one short, finished answer, and no reason twice", () => {
    fc.assert(
      fc.property(looks, workers, (look, sessions) => {
        const said = answer(look, sessions);
        const reasons = [said, ...said.also];
        assert.equal(new Set(reasons.map(({ code }) => code)).size, reasons.length);
        for (const { sentence, startsWhen } of reasons) {
          assert.match(sentence, /^[A-Z0-9].*\.$/s);
          assert.match(startsWhen, /^[A-Z].*\.$/s);
          assert.doesNotMatch(sentence, /undefined|NaN|\bnull\b/);
        }
        assert.ok(JSON.stringify(said).length < 20_000);
      }),
    );
  });

  it("never says that a task stands in line while something else holds it", () => {
    fc.assert(
      fc.property(looks, workers, (look, sessions) => {
        const codes = [answer(look, sessions), ...answer(look, sessions).also].map(({ code }) => code);
        const inLine = codes.some((code) => ["slots-busy", "in-line", "next-in-line"].includes(code));
        assert.ok(!inLine || !codes.some((code) => HOLDING.includes(code)), codes.join(", "));
      }),
    );
  });
});
