/** What may be asked of a broker, and how a wrong question is answered. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { BROKER_METHODS, type BrokerMethod } from "../../../src/broker/contract.ts";
import { MAX_BATCH, MAX_PAGE, MAX_PAYLOAD, MAX_SUBMISSIONS_PER_CALL, MAX_WAIT_MS } from "../../../src/broker/limits.ts";
import { isPlainCommit } from "../../../src/broker/plain-commit.ts";
import {
  isBrokerMethod,
  PARAM_SCHEMAS,
  type ParamsOf,
  parseParams,
  unknownMethod,
} from "../../../src/broker/schemas.ts";
import { HoldfastError } from "../../../src/errors/index.ts";

const retry = { limit: 3, baseMs: 5_000, factor: 2, maxMs: 300_000, jitter: 0, never: ["invalid-input"] } as const;
const taskGroup = {
  name: "g",
  handler: "{}",
  pool: "default",
  requires: ["cpu"],
  retry,
  maxLosses: 3,
  timeoutMs: 1_000,
  memoryLimitMb: 100,
  delayMs: 5,
  onFailure: "continue",
  when: "completed",
  work: { kind: "tasks", inputs: ["1", "2"], after: [[], [0]], labels: ["a", "b"], ranks: [1.5, 0] },
} as const;
const arrayGroup = {
  ...taskGroup,
  work: {
    kind: "array",
    length: 1_000_000_000,
    chunk: { kind: "adaptive", targetMs: 1_000, min: 1, max: 10 },
    source: "{}",
    results: "keep",
  },
} as const;
const lease = { executionId: "x", task: 1, start: 0, replica: 1, token: "t" } as const;
const failure = { class: "timeout", message: "m", code: "c", stack: "s" } as const;
const output = { stdout: "o", stderr: "e", truncated: false } as const;

/** For each method, params with every key that the contract names. */
const COMPLETE: { readonly [M in BrokerMethod]: ParamsOf<M> } = {
  submit: {
    submissions: [
      {
        key: "k",
        name: "n",
        kind: "sweep",
        priority: 5,
        groups: [taskGroup, arrayGroup],
        open: true,
        maxFailures: 0,
        verify: { sample: 0.1, replicas: 2, tolerance: 0, seed: 1 },
        retentionMs: 1,
        meta: "{}",
        keepInputs: true,
      },
    ],
  },
  extend: { executionId: "x", part: 1, groups: [taskGroup], seal: true },
  pause: { executionId: "x", by: "b" },
  resume: { executionId: "x", by: "b" },
  cancel: { executionId: "x", reason: "r" },
  pausePool: { pool: "p", by: "b" },
  resumePool: { pool: "p", by: "b" },
  limitPool: { pool: "p", min: 1, max: 2 },
  signal: { executionId: "x", signal: "s", payload: "1" },
  retry: { executionId: "x", letters: [{ task: 1, start: 0 }] },
  discard: { executionId: "x", letters: [{ task: 1, start: 0 }] },
  rerun: { executionId: "x", task: 1 },
  editExecution: {
    executionId: "x",
    edits: [
      { kind: "priority", priority: 8 },
      { kind: "add", groups: [taskGroup] },
      { kind: "remove", tasks: [1, 2] },
      { kind: "rewire", task: 1, after: [0] },
      { kind: "rank", tasks: [1], ranks: [2.5] },
      { kind: "hold", tasks: [1] },
      { kind: "unhold", tasks: [2] },
      { kind: "undo" },
    ],
    apply: true,
    version: "v",
    editId: "e",
  },
  openSession: {
    worker: "w",
    host: "h",
    pid: 1,
    pools: ["default"],
    capabilities: ["gpu"],
    slots: 2,
    meta: "{}",
    hosted: true,
  },
  heartbeat: { session: "s", running: 0 },
  claim: { session: "s", max: 10, waitMs: 100 },
  commit: {
    session: "s",
    outcomes: [
      { kind: "completed", lease, durationMs: 1.5, output, result: "1" },
      { kind: "chunk", lease, durationMs: 1, output, values: "[1]", partial: "{}", failures: [{ item: 3, failure }] },
      { kind: "failed", lease, durationMs: 1, output, failure, culprit: 2 },
      { kind: "skipped", lease, durationMs: 1, output, dependents: "release" },
      { kind: "suspended", lease, durationMs: 1, output, state: "1", until: { kind: "delay", delayMs: 1 } },
      { kind: "suspended", lease, durationMs: 1, state: "1", until: { kind: "signal", signal: "s", timeoutMs: 1 } },
      { kind: "suspended", lease, durationMs: 1, state: "1", until: { kind: "tasks", groups: [taskGroup] } },
      { kind: "returned", lease },
    ],
    claim: { max: 5, waitMs: 0 },
    isSign: false,
  },
  reconcile: { session: "s", held: [lease] },
  closeSession: { session: "s", reason: "left", silentForMs: 200 },
  drainSession: { session: "s" },
  getExecution: { executionId: "x" },
  listExecutions: {
    states: ["running"],
    kinds: ["sweep"],
    name: "n",
    order: "oldest",
    idPrefix: "",
    limit: 1,
    after: "b",
  },
  listTasks: { executionId: "x", states: ["failed"], limit: 1, after: 0, children: true },
  listDeadLetters: { executionId: "x", inputs: true, limit: 1, after: "a" },
  listAttempts: { executionId: "x", task: 0, limit: 1 },
  readResults: { executionId: "x", cursor: 0, limit: 1, waitMs: 0, partialsOnly: true },
  readEvents: { cursor: 0, executionId: "x", limit: 1, waitMs: 0 },
  listSessions: { limit: 1, live: true, after: "a" },
  listPools: undefined,
  explainTask: { executionId: "x", task: 0 },
  acquireLock: { lock: "l", owner: "o", ttlMs: 1, waitMs: 0, note: "n" },
  extendLock: { lock: "l", owner: "o", ttlMs: 1 },
  releaseLock: { lock: "l", owner: "o" },
  readLock: { lock: "l" },
  listLocks: { prefix: "p", limit: 1, after: "a" },
  writeValue: { key: "k", value: "1", ttlMs: 1, ifVersion: 0, writeId: "w" },
  readValue: { key: "k" },
  deleteValue: { key: "k", ifVersion: 1 },
  listValues: { prefix: "p", limit: 1, after: "a" },
  saveCheckpoint: { scope: "s", data: "1", fence: 1, keep: 5, ttlMs: 1, label: "l", saveId: "i" },
  readCheckpoint: { scope: "s", version: 1 },
  listCheckpoints: { scope: "s" },
  deleteCheckpoints: { scope: "s", version: 1, keep: 5 },
  lead: { lease: "l", holder: "h", ttlMs: 1 },
  reapSessions: { limit: 1 },
  promoteDue: { limit: 1 },
  reapOverdue: { limit: 1 },
  purge: { limit: 1 },
  pendingVerifications: { limit: 1 },
  judgeVerifications: {
    verdicts: [{ executionId: "x", task: 0, start: 0, disagreement: { item: 1, workers: ["w"] } }],
  },
};

/** Keys that the contract makes optional, with the path of the object that holds them. */
const OPTIONAL: readonly [BrokerMethod, string, readonly string[]][] = [
  ["submit", "submissions.0", ["key", "open", "maxFailures", "verify", "retentionMs", "meta", "keepInputs"]],
  ["submit", "submissions.0.groups.0", ["timeoutMs", "memoryLimitMb", "delayMs", "onFailure", "when"]],
  ["pause", "", ["by"]],
  ["resume", "", ["by"]],
  ["cancel", "", ["reason"]],
  ["pausePool", "", ["by"]],
  ["resumePool", "", ["by"]],
  ["retry", "", ["letters"]],
  ["retry", "letters.0", ["start"]],
  ["discard", "", ["letters"]],
  ["discard", "letters.0", ["start"]],
  ["openSession", "", ["meta", "hosted"]],
  ["commit", "", ["claim", "isSign"]],
  ["closeSession", "", ["silentForMs"]],
  ["commit", "outcomes.0", ["output"]],
  ["commit", "outcomes.0.lease", ["start", "replica"]],
  ["commit", "outcomes.1", ["output", "values", "partial"]],
  ["commit", "outcomes.1.failures.0.failure", ["code", "stack"]],
  ["commit", "outcomes.2", ["output", "culprit"]],
  ["reconcile", "held.0", ["start", "replica"]],
  ["editExecution", "", ["version", "editId"]],
  ["listExecutions", "", ["states", "kinds", "name", "order", "idPrefix", "after"]],
  ["listTasks", "", ["states", "after", "children"]],
  ["listDeadLetters", "", ["executionId", "inputs", "after"]],
  ["listSessions", "", ["live", "after"]],
  ["listAttempts", "", ["task"]],
  ["readResults", "", ["cursor", "waitMs", "partialsOnly"]],
  ["readEvents", "", ["executionId", "waitMs"]],
  ["acquireLock", "", ["note"]],
  ["listLocks", "", ["prefix", "after"]],
  ["writeValue", "", ["ifVersion", "writeId"]],
  ["deleteValue", "", ["ifVersion"]],
  ["listValues", "", ["prefix", "after"]],
  ["saveCheckpoint", "", ["label", "saveId"]],
  ["readCheckpoint", "", ["version"]],
  ["deleteCheckpoints", "", ["version", "keep"]],
  ["judgeVerifications", "verdicts.0", ["disagreement"]],
  ["limitPool", "", ["max"]],
  ["commit", "outcomes.3", ["output"]],
  ["commit", "outcomes.4", ["output"]],
  ["commit", "outcomes.5.until", ["timeoutMs"]],
];

type Fields = Record<string, unknown>;

/** A copy in which no two places share an object. */
function copy(value: unknown): unknown {
  return value === undefined ? undefined : JSON.parse(JSON.stringify(value));
}

/** A copy of the method's complete params, changed at a path. */
function changed(method: BrokerMethod, path: string, change: (at: Fields) => void): unknown {
  const params = copy(COMPLETE[method]) as Fields;
  let at = params;
  for (const key of path === "" ? [] : path.split(".")) at = at[key] as Fields;
  change(at);
  return params;
}

function refusal(method: BrokerMethod, params: unknown): HoldfastError {
  try {
    parseParams(method, params);
  } catch (thrown) {
    assert.ok(HoldfastError.is(thrown), String(thrown));
    return thrown;
  }
  return assert.fail(`${method} was not refused`);
}

/** The path as errors write it: `a[0].b` for `a.0.b`. */
function shown(path: string): string {
  return path.replaceAll(/\.(\d+)/g, "[$1]");
}

/** Paths of all objects within params. */
function objectPaths(value: unknown, path: string): string[] {
  if (typeof value !== "object" || value === null) return [];
  const inner = Object.entries(value).flatMap(([key, one]) => objectPaths(one, path === "" ? key : `${path}.${key}`));
  return Array.isArray(value) ? inner : [path, ...inner];
}

test("every method takes all that the contract names, unchanged", () => {
  for (const method of BROKER_METHODS)
    assert.deepEqual(parseParams(method, copy(COMPLETE[method])), COMPLETE[method], method);
});

test("every optional key may be absent, every other one may not", () => {
  for (const method of BROKER_METHODS) {
    for (const path of objectPaths(COMPLETE[method], "")) {
      const optional = OPTIONAL.find(([name, at]) => name === method && at === path)?.[2] ?? [];
      let keys: string[] = [];
      changed(method, path, (at) => (keys = Object.keys(at)));
      // The second group's work is an array's; its group's optional keys are those of the first.
      const group =
        path === "submissions.0.groups.1" ||
        path === "edits.1.groups.0" ||
        path === "outcomes.6.until.groups.0" ||
        (method === "extend" && path === "groups.0");
      const free = new Set([
        ...optional,
        ...(group ? ["timeoutMs", "memoryLimitMb", "delayMs", "onFailure", "when"] : []),
        ...(/(^|\.)groups\.0\.work$/.test(path) ? ["after", "labels", "ranks"] : []),
      ]);
      const leaseLike = path.endsWith(".lease")
        ? ["start", "replica"]
        : path.endsWith(".failure")
          ? ["code", "stack"]
          : [];
      for (const key of leaseLike) free.add(key);
      for (const key of keys) {
        const without = changed(method, path, (at) => Reflect.deleteProperty(at, key));
        if (free.has(key)) assert.deepEqual(parseParams(method, copy(without)), without, `${method} ${path}.${key}`);
        else assert.equal(refusal(method, without).code, "INVALID_REQUEST", `${method} ${path}.${key}`);
      }
    }
  }
});

test("an unknown key is refused anywhere, with its path", () => {
  for (const method of BROKER_METHODS) {
    for (const path of objectPaths(COMPLETE[method], "")) {
      const error = refusal(
        method,
        changed(method, path, (at) => (at["surplus"] = 1)),
      );
      assert.equal(error.code, "INVALID_REQUEST");
      assert.equal(error.details["path"], path === "" ? "params" : shown(path));
      assert.match(String(error.details["problem"]), /surplus/);
    }
  }
});

test("what breaks a bound is said with its path", () => {
  const cases: readonly [BrokerMethod, string, string, unknown][] = [
    ["submit", "submissions.0", "priority", 11],
    ["submit", "submissions.0", "priority", 5.5],
    ["submit", "submissions.0.groups.1.work", "length", -1],
    ["submit", "submissions.0.groups.1.work.chunk", "min", 0],
    ["submit", "submissions.0.groups.0.work", "after", [[-1]]],
    ["submit", "submissions.0.groups.0", "pool", ""],
    ["submit", "submissions.0.groups.0.retry", "jitter", 1.1],
    ["submit", "submissions.0.verify", "replicas", 1],
    ["claim", "", "max", MAX_BATCH + 1],
    ["claim", "", "waitMs", MAX_WAIT_MS + 1],
    ["claim", "", "waitMs", Number.NaN],
    ["commit", "outcomes.0", "durationMs", Number.POSITIVE_INFINITY],
    ["commit", "outcomes.0.lease", "task", "1"],
    ["commit", "outcomes.2.failure", "class", "mystery"],
    ["commit", "outcomes.0", "kind", "mystery"],
    ["readResults", "", "limit", MAX_PAGE + 1],
    ["readResults", "", "limit", 0],
    ["heartbeat", "", "session", ""],
    ["heartbeat", "", "session", "x".repeat(1_000)],
  ];
  for (const [method, path, key, value] of cases) {
    const error = refusal(
      method,
      changed(method, path, (at) => (at[key] = value)),
    );
    assert.equal(error.code, "INVALID_REQUEST", `${method} ${path}.${key}`);
    assert.match(
      String(error.details["path"]),
      new RegExp(`^${shown(path === "" ? key : `${path}.${key}`).replaceAll(/[[\].]/g, "\\$&")}`),
    );
    assert.equal(error.details["method"], method);
  }
});

test("what is too large is said with its size and the limit", () => {
  const result = "x".repeat(MAX_PAYLOAD + 1);
  const payload = refusal(
    "commit",
    changed("commit", "outcomes.0", (at) => (at["result"] = result)),
  );
  assert.deepEqual(payload.toWire(), {
    code: "PAYLOAD_TOO_LARGE",
    details: { what: "commit: outcomes[0].result", bytes: MAX_PAYLOAD + 1, limit: MAX_PAYLOAD },
  });
  const outcomes = Array.from({ length: MAX_BATCH + 1 }, () => ({ kind: "returned", lease }));
  const batch = refusal("commit", { session: "s", outcomes });
  assert.deepEqual(batch.toWire(), {
    code: "BATCH_TOO_LARGE",
    details: { what: "commit: outcomes", count: MAX_BATCH + 1, limit: MAX_BATCH },
  });
  const [submission] = COMPLETE.submit.submissions;
  const many = refusal("submit", {
    submissions: Array.from({ length: MAX_SUBMISSIONS_PER_CALL + 1 }, () => submission),
  });
  assert.equal(many.code, "BATCH_TOO_LARGE");
});

test("a list of millions is refused without looking at its entries", () => {
  const outcomes = new Proxy(Array.from<unknown>({ length: 2_000_000 }), {
    get: (target, key) => {
      if (typeof key === "string" && /^\d+$/.test(key)) assert.fail("an entry was looked at");
      return Reflect.get(target, key) as unknown;
    },
  });
  assert.equal(refusal("commit", { session: "s", outcomes }).code, "BATCH_TOO_LARGE");
});

test("nothing but the contract's methods is a method", () => {
  for (const method of BROKER_METHODS) assert.ok(isBrokerMethod(method));
  for (const method of ["close", "features", "toString", "__proto__", "", 5, null])
    assert.equal(isBrokerMethod(method), false);
  assert.deepEqual(unknownMethod("x".repeat(100)).details["method"], "x".repeat(64));
});

test("no JSON makes parsing throw anything but a catalogued error", () => {
  fc.assert(
    fc.property(fc.constantFrom(...BROKER_METHODS), fc.jsonValue(), (method, params) => {
      try {
        parseParams(method, params);
      } catch (thrown) {
        assert.ok(HoldfastError.is(thrown), String(thrown));
      }
    }),
    { numRuns: 500 },
  );
});

const odd = fc.oneof(
  fc.constantFrom(-1, 0, 1, 1.5, Number.NaN, "", "x", null, true, 1e9, "x".repeat(600)),
  fc.constant([]),
  fc.constant({}),
);
const anyLease = fc.record(
  {
    executionId: fc.string(),
    task: fc.integer({ min: -1, max: 3 }),
    token: fc.string(),
    start: fc.nat(),
    replica: fc.integer({ min: 0, max: 3 }),
  },
  { requiredKeys: ["executionId", "task", "token"], noNullPrototype: true },
);
const anyOutcome = fc.record(
  {
    kind: fc.constantFrom("completed", "chunk", "returned", "failed"),
    lease: anyLease,
    durationMs: fc.double(),
    result: fc.string(),
    values: fc.string(),
    partial: fc.string(),
    failures: fc.constantFrom([], [{ item: 1, failure }]),
    output: fc.constant(output),
    surplus: odd,
  },
  { requiredKeys: ["kind", "lease"], noNullPrototype: true },
);
const PLAIN = { noNullPrototype: true } as const;
const sound = fc.record({ executionId: fc.constant("x"), task: fc.nat({ max: 9 }), token: fc.constant("t") }, PLAIN);
const soundOutcome = fc.oneof(
  fc.record({ kind: fc.constant("completed"), lease: sound, durationMs: fc.nat(), result: fc.json() }, PLAIN),
  fc.record(
    { kind: fc.constant("chunk"), lease: sound, durationMs: fc.nat(), values: fc.json(), failures: fc.constant([]) },
    PLAIN,
  ),
  fc.record({ kind: fc.constant("returned"), lease: sound }, PLAIN),
);

test("the short way through the schema of commit accepts only what the schema accepts, unchanged", () => {
  let accepted = 0;
  fc.assert(
    fc.property(
      fc.record(
        {
          session: fc.constantFrom("s", "", 5),
          outcomes: fc.array(fc.oneof({ weight: 3, arbitrary: soundOutcome }, { weight: 1, arbitrary: anyOutcome }), {
            maxLength: 3,
          }),
          claim: fc.record(
            { max: fc.integer({ min: -1, max: 1_001 }), waitMs: fc.double({ min: -1, max: 40_000 }) },
            PLAIN,
          ),
        },
        { requiredKeys: ["session", "outcomes"], noNullPrototype: true },
      ),
      (params) => {
        if (!isPlainCommit(params)) return;
        accepted += 1;
        const parsed = PARAM_SCHEMAS.commit.safeParse(params);
        assert.ok(parsed.success, parsed.error?.message);
        assert.deepEqual(parsed.data, params);
      },
    ),
    { numRuns: 3_000 },
  );
  assert.ok(accepted > 100, `only ${accepted} commits were accepted`);
});

test("plain commits take the short way, others do not", () => {
  const completed = { kind: "completed", lease, durationMs: 1, result: "1" };
  assert.ok(
    isPlainCommit({ session: "s", outcomes: [completed, { kind: "returned", lease }], claim: { max: 1, waitMs: 0 } }),
  );
  assert.ok(
    isPlainCommit({ session: "s", outcomes: [{ kind: "chunk", lease, durationMs: 1, partial: "1", failures: [] }] }),
  );
  assert.equal(isPlainCommit(COMPLETE.commit), false);
  assert.equal(isPlainCommit({ session: "s", outcomes: [{ ...completed, surplus: 1 }] }), false);
  assert.equal(isPlainCommit({ session: "s", outcomes: [], surplus: 1 }), false);
  assert.equal(isPlainCommit({ session: "s", outcomes: [], claim: undefined }), false);
});
