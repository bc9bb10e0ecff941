/** Edits over HTTP: previewed and applied with nothing but requests; what is wrong names its field. */
import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import type { EditReply } from "../../../src/broker/contract.ts";
import { FakeWorker } from "../../support/fake-worker.ts";
import { type HttpWorld, startHttpWorld } from "../../support/http-server.ts";
import { array, batch, group, submission } from "../../support/submissions.ts";

interface Refusal {
  readonly code: string;
  readonly field?: string;
  readonly error: string;
}

interface Edited {
  readonly world: HttpWorld;
  readonly executionId: string;
  readonly preview: (edits: readonly unknown[]) => Promise<EditReply>;
  readonly apply: (body: Readonly<Record<string, unknown>>) => Promise<EditReply>;
}

/** Three separate tasks, then an array. */
async function prepared(t: TestContext): Promise<Edited> {
  const world = await startHttpWorld(t);
  const work = submission([...batch(3).groups, group(array(4, 2))]);
  const [receipt] = (await world.broker.submit({ submissions: [work] })).executions;
  const executionId = receipt?.executionId ?? "";
  const path = `POST /executions/${executionId}/edit`;
  return {
    world,
    executionId,
    preview: (edits) => world.expect<EditReply>(200, `${path}/preview`, { edits }),
    apply: (body) => world.expect<EditReply>(200, `${path}/apply`, body),
  };
}

const HANDLER = { kind: "test" };

function add(after: readonly (readonly number[])[]): unknown {
  const work = { kind: "tasks", inputs: after.map((_, at) => ({ at })), after };
  return { kind: "add", groups: [{ name: "more", handler: HANDLER, work }] };
}

describe("edits over HTTP", () => {
  it("are previewed, applied as previewed, and known when they are sent again", async (t) => {
    const { world, executionId, preview, apply } = await prepared(t);
    const edits = [{ kind: "priority", priority: 9 }, add([[0], [4]]), { kind: "remove", tasks: [1] }];
    const { version, changes, execution } = await preview(edits);
    assert.deepEqual(changes, {
      priority: { from: 5, to: 9 },
      added: 2,
      firstAdded: 4,
      addedSkipped: 0,
      removed: [{ task: 1, state: "queued" }],
      removedCount: 1,
      skipped: [],
      skippedCount: 0,
      rewired: 0,
      rerun: [],
      rerunCount: 0,
      ranked: 0,
      held: 0,
      unheld: 0,
      restored: [],
      restoredCount: 0,
    });
    assert.deepEqual([execution.priority, execution.counters.total], [5, 7]);
    const applied = await apply({ edits, version });
    assert.deepEqual([applied.version, applied.changes, applied.execution.priority], [version, changes, 9]);
    assert.equal((await apply({ edits, version })).execution.counters.total, 9);
    const named = { edits: [add([[]])], editId: "once" };
    assert.equal((await apply(named)).execution.counters.total, 10);
    assert.equal((await apply(named)).execution.counters.total, 10);
    const worker = await FakeWorker.join(world.broker);
    await worker.finish(await worker.take());
    const leases = await worker.leases(10);
    const child = leases.find(({ task }) => task === 4);
    assert.deepEqual([child?.input, child?.parents], ['{"at":0}', { 0: '{"task":0}' }]);
    const { why } = await world.expect<{ why: { sentence: string } }>(
      200,
      `GET /executions/${executionId}/tasks/1/why`,
    );
    assert.match(why.sentence, /was removed from its execution/);
    const { task } = await world.expect<{ task: { removed: boolean } }>(200, `GET /executions/${executionId}/tasks/1`);
    assert.equal(task.removed, true);
  });

  it("are refused when they would do something else by now", async (t) => {
    const { world, executionId, preview, apply } = await prepared(t);
    const edits = [{ kind: "remove", tasks: [1] }];
    const { version } = await preview(edits);
    await apply({ edits: [add([[]])] });
    const refused = await world.expect<Refusal>(409, `POST /executions/${executionId}/edit/apply`, { edits, version });
    assert.deepEqual([refused.code, /new preview/.test(refused.error)], ["EDIT_CONFLICT", true]);
  });

  it("rewire, rank, hold and let go, and are taken back", async (t) => {
    const { world, executionId, preview, apply } = await prepared(t);
    const edits = [
      { kind: "rewire", task: 0, after: [2] },
      { kind: "rank", tasks: [1], ranks: [1.5] },
      { kind: "hold", tasks: [2] },
    ];
    const { changes } = await apply({ edits });
    assert.deepEqual([changes.rewired, changes.ranked, changes.held], [1, 1, 1]);
    const taken = await preview([{ kind: "undo" }]);
    assert.deepEqual([taken.changes.rewired, taken.changes.ranked, taken.changes.unheld], [1, 1, 1]);
    await apply({ edits: [{ kind: "unhold", tasks: [2] }] });
    assert.equal((await apply({ edits: [{ kind: "undo" }] })).changes.held, 1);
    const { tasks } = await world.expect<{ tasks: readonly { held?: boolean; rank?: number }[] }>(
      200,
      `GET /executions/${executionId}/tasks`,
    );
    assert.deepEqual([tasks[2]?.held, tasks[1]?.rank], [true, 1.5]);
  });

  it("keep JSON texts as they are where texts are asked for", async (t) => {
    const { world, executionId } = await prepared(t);
    const work = { kind: "tasks", inputs: ['{"n":1.0}'] };
    const edits = [{ kind: "add", groups: [{ handler: '{"kind":"test"}', pool: "other", work }] }];
    const path = `POST /executions/${executionId}/edit/apply?texts=true`;
    await world.expect(200, path, { edits });
    const worker = await FakeWorker.join(world.broker, { pools: ["other"] });
    assert.equal((await worker.take()).input, '{"n":1.0}');
    work.inputs[0] = "{";
    const refused = await world.expect<Refusal>(400, path, { edits });
    assert.deepEqual([refused.code, refused.field], ["INVALID_REQUEST", "body.edits[0].groups[0].work.inputs[0]"]);
  });

  it("name the field that is wrong", async (t) => {
    const { world, executionId } = await prepared(t);
    const arrays = { handler: HANDLER, work: { ...array(4, 2), source: {} } };
    const wrong: readonly (readonly [unknown, string])[] = [
      [[], "body.edits"],
      [[{ kind: "rename" }], "body.edits[0].kind"],
      [[{ kind: "priority", priority: 11 }], "body.edits[0].priority"],
      [[add([[]]), add([[9]])], "body.edits[1].groups[0].work.after[0]"],
      [[{ kind: "add", groups: [] }], "body.edits[0].groups"],
      [[{ kind: "add", groups: [arrays] }], "body.edits[0].groups[0].work.kind"],
      [[{ kind: "remove", tasks: [] }], "body.edits[0].tasks"],
      [[{ kind: "rewire", task: 3, after: [] }], "body.edits[0].task"],
      [[{ kind: "rewire", task: 0, after: [0] }], "body.edits[0].after"],
      [[{ kind: "rank", tasks: [0], ranks: [1, 2] }], "body.edits[0].ranks"],
      [[{ kind: "hold", tasks: [0, 3] }], "body.edits[0].tasks[1]"],
      [[{ kind: "undo" }], "body.edits[0]"],
      [[{ kind: "remove", tasks: [1, -1] }], "body.edits[0].tasks[1]"],
      [[{ kind: "remove", tasks: [0, 3] }], "body.edits[0].tasks[1]"],
      [
        [
          { kind: "priority", priority: 1 },
          { kind: "priority", priority: 2 },
        ],
        "body.edits[1]",
      ],
    ];
    for (const [edits, field] of wrong) {
      for (const what of ["preview", "apply"]) {
        const refused = await world.expect<Refusal>(400, `POST /executions/${executionId}/edit/${what}`, { edits });
        assert.deepEqual([refused.code, refused.field], ["INVALID_REQUEST", field], refused.error);
      }
    }
    const unknown = { edits: [{ kind: "remove", tasks: [77] }] };
    const refused = await world.expect<Refusal>(404, `POST /executions/${executionId}/edit/apply`, unknown);
    assert.equal(refused.code, "TASK_UNKNOWN");
    assert.equal((await world.broker.getExecution({ executionId })).counters.skipped, 0);
  });
});
