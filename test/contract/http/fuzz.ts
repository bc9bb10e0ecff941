/**
 * The OpenAPI document, fuzzed: for every operation, requests that its schemas allow and such that
 * they do not. Whatever is asked: no answer is a server error, every answer is one that the document
 * tells of, and every rejected input names its field.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { checkProperty, type PropertyEffort } from "../../support/check-property.ts";
import { type Answer, type HttpWorld, startHttpWorld } from "../../support/http-server.ts";
import { assertDocumented, DOCUMENTED, type DocumentedOperation, type Parameter } from "./document.ts";
import { arbitraryOf, spoiled } from "./schema-arbitrary.ts";

/** Far more than any answer takes: one that does not come is a finding. */
const ANSWER_WITHIN_MS = 15_000;

/** Rejections of what was given, as opposed to what is not there or not allowed. */
const INPUT_ERRORS = new Set([
  "INVALID_REQUEST",
  "INVALID_INPUT",
  "INVALID_SPACE",
  "PAYLOAD_TOO_LARGE",
  "BATCH_TOO_LARGE",
  "TOO_BIG_INTEGER",
  "NAME_RESERVED",
]);

/** Names that something stands for, so that requests get past the door. */
interface Known {
  readonly executionId: readonly string[];
  readonly workerId: readonly string[];
  readonly [parameter: string]: readonly string[];
}

interface Request {
  readonly path: string;
  readonly body: unknown;
}

function valueOf(parameter: Parameter, known: Known): fc.Arbitrary<unknown> {
  if (parameter.name === "wait") return fc.constantFrom("0s", "5ms", "10ms");
  // A stream that goes on until an execution has ended that never will is for another test.
  if (parameter.name === "follow") return fc.constant(false);
  const names = known[parameter.name] ?? [];
  const any = arbitraryOf(parameter.schema);
  return names.length === 0
    ? any
    : fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...names) }, { weight: 1, arbitrary: any });
}

function pathOf(operation: DocumentedOperation, known: Known, strange: boolean): fc.Arbitrary<string> {
  const [inPath, inQuery] = ["path", "query"].map((place) => operation.parameters.filter((one) => one.in === place));
  const given = (parameters: readonly Parameter[] = [], always: boolean): fc.Arbitrary<Record<string, unknown>> =>
    fc.record(Object.fromEntries(parameters.map((one) => [one.name, valueOf(one, known)])), {
      requiredKeys: parameters.filter((one) => always || one.required === true).map(({ name }) => name),
    });
  const odd = strange
    ? fc.dictionary(
        fc.constantFrom("nope", "limit", "cursor", "wait", "state"),
        fc.string({ minLength: 1, maxLength: 6 }),
        { maxKeys: 2 },
      )
    : fc.constant({});
  return fc.tuple(given(inPath, true), given(inQuery, false), odd).map(([params, query, extra]) => {
    const path = operation.path.replace(/\{(\w+)\}/g, (_, name: string) => partOf(String(params[name])));
    const search = new URLSearchParams();
    for (const [name, value] of Object.entries({ ...query, ...extra })) {
      for (const one of [value].flat()) search.append(name, String(one));
    }
    return search.size === 0 ? path : `${path}?${search.toString()}`;
  });
}

/** One or two dots mean another path before anything is sent. */
function partOf(value: string): string {
  return /^\.{1,2}$/.test(value) ? "dots" : encodeURIComponent(value);
}

function requestsOf(operation: DocumentedOperation, known: Known, strange: boolean): fc.Arbitrary<Request> {
  const fit = operation.body === undefined ? fc.constant(undefined) : arbitraryOf(operation.body);
  const body = strange && operation.body !== undefined ? spoiled(operation.body, fit) : fit;
  return fc.record({ path: pathOf(operation, known, strange), body });
}

function judge(operation: DocumentedOperation, answer: Answer): void {
  assert.ok(answer.status < 500, `${operation.id} answered ${answer.status}: ${answer.text}`);
  // A path whose last part was fuzzed away leads to another operation, or to none.
  if (answer.status === 405 || answer.text.includes('"ROUTE_NOT_FOUND"')) return;
  assertDocumented(operation, answer);
  if (answer.status < 400) return;
  const error = answer.json<{ success: boolean; error: string; code: string; field?: string }>();
  assert.equal(error.success, false);
  assert.ok(error.error.length > 0);
  if (INPUT_ERRORS.has(error.code))
    assert.ok((error.field ?? "").length > 0, `${operation.id} names no field: ${answer.text}`);
}

/** `scope` is new each time: what has saved checkpoints with a high fence refuses lower ones. */
async function seed(world: HttpWorld, scope: string): Promise<Known> {
  const group = {
    name: "t",
    handler: { kind: "job" },
    pool: "jobs",
    retry: { limit: 0 },
    work: { kind: "tasks", inputs: [1, { a: 2 }] },
  };
  const ids: string[] = [];
  for (const name of ["one", "two", "three"]) {
    const { executionId } = await world.expect<{ executionId: string }>(202, "POST /executions", {
      name,
      keepInputs: true,
      groups: [group],
    });
    ids.push(executionId);
  }
  const workerId = "w1";
  await world.expect(200, "POST /queue/resume");
  await world.expect(200, "POST /pools/jobs/resume");
  await world.expect(200, "PUT /pools/jobs/limits", { min: 0 });
  await world.expect(200, "POST /workers/register", {
    workerId,
    hostname: "h",
    capabilities: ["cpu"],
    maxConcurrency: 4,
  });
  const { tasks } = await world.expect<{ tasks: { lease: string; executionId: string; task: number }[] }>(
    200,
    `POST /workers/${workerId}/claim`,
    { max: 2, holding: [] },
  );
  const [first] = tasks;
  await world.expect(200, `POST /workers/${workerId}/fail`, { lease: first?.lease, error: { message: "broken" } });
  await world.expect(200, "PUT /state/values/key", { value: { a: 1 } });
  await world.expect(200, "POST /state/locks/lock/acquire", { owner: "me", ttlMs: 60_000 });
  await world.expect(200, `POST /state/checkpoints/${scope}`, { data: [1] });
  return {
    executionId: ids,
    workerId: [workerId, "w2"],
    task: ["0", "1", "2"],
    letterId: [`${first?.executionId}~${first?.task}`],
    pool: ["jobs", "*"],
    key: ["key", "a/b"],
    lock: ["lock", "other"],
    scope: [scope],
    version: ["1"],
  };
}

/** One server for all operations; what an operation has changed is made anew before the next one. */
export function fuzzOperations(store: "sqlite" | "redis", effort: PropertyEffort): void {
  test(`every operation, fuzzed on ${store}: no server error, documented answers, fields named`, async (t) => {
    const world = await startHttpWorld(t, { store });
    for (const operation of DOCUMENTED) {
      await t.test(operation.id, async () => {
        const known = await seed(world, operation.id);
        for (const strange of [false, true]) {
          await checkProperty(requestsOf(operation, known, strange), effort, async ({ path, body }) => {
            const signal = AbortSignal.timeout(ANSWER_WITHIN_MS);
            judge(operation, await world.call(`${operation.method} ${path}`, body, { signal }));
          });
        }
      });
    }
  });
}
