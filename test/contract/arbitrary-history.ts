/** What random histories are made of: work of every shape, and steps in a mix that gets far. */
import fc from "fast-check";
import type { Submission } from "../../src/broker/contract.ts";
import type { RetryPolicy } from "../../src/core/retry.ts";
import { array, group, submission, tasks } from "../support/submissions.ts";
import { STEP_KINDS, type Step } from "./random-history.ts";

const WEIGHTS: Readonly<Record<Step["kind"], number>> = {
  claim: 10,
  finish: 6,
  fail: 3,
  failPart: 3,
  return: 2,
  skip: 1,
  suspend: 3,
  signal: 1,
  late: 2,
  repeat: 2,
  steal: 1,
  reconcile: 2,
  die: 4,
  leave: 1,
  silence: 1,
  time: 2,
  overdue: 1,
  pause: 1,
  cancel: 1,
  retry: 3,
  discard: 1,
  rerun: 1,
  edit: 2,
  editGraph: 5,
  undo: 2,
  pauseAll: 1,
  restart: 1,
};

const stepKind = fc.oneof(...STEP_KINDS.map((kind) => ({ weight: WEIGHTS[kind], arbitrary: fc.constant(kind) })));
const step: fc.Arbitrary<Step> = fc.record({
  kind: stepKind,
  worker: fc.nat(2),
  pick: fc.nat(20),
  amount: fc.nat(127),
});
const LONGEST_HISTORY = 60;

export const histories: fc.Arbitrary<readonly Step[]> = fc.array(step, { minLength: 5, maxLength: LONGEST_HISTORY });

const retry: fc.Arbitrary<RetryPolicy> = fc.record({
  limit: fc.nat(2),
  baseMs: fc.constantFrom(0, 1_000),
  factor: fc.constant(2),
  maxMs: fc.constant(60_000),
  jitter: fc.constantFrom(0, 0.5),
  never: fc.constant(["invalid-input"]),
});

const policy = fc.record(
  {
    retry,
    maxLosses: fc.integer({ min: 1, max: 4 }),
    timeoutMs: fc.constantFrom(1_000, 5_000),
    delayMs: fc.constant(10_000),
  },
  { requiredKeys: ["retry", "maxLosses"] },
);

const size = { length: fc.integer({ min: 1, max: 40 }), chunk: fc.integer({ min: 1, max: 9 }) };

export const sweeps: fc.Arbitrary<Submission> = fc
  .record({ ...size, policy })
  .map((one) => submission([group(array(one.length, one.chunk), one.policy)], { kind: "sweep" }));

/** For each task numbers that become its parents. */
const links = fc.array(fc.array(fc.nat(30), { maxLength: 3 }), { minLength: 1, maxLength: 12 });

function parentsBelow(numbers: readonly number[], task: number): readonly number[] {
  return task === 0 ? [] : [...new Set(numbers.map((number) => number % task))];
}

/** What of separate tasks may differ besides. */
const flow = fc.record({
  onFailure: fc.constantFrom("fail", "fail", "continue"),
  ranks: fc.array(fc.nat(5), { minLength: 12, maxLength: 12 }),
  isRanked: fc.boolean(),
});

export const workflows: fc.Arbitrary<Submission> = fc.record({ links, policy, flow }).map((one) => {
  const after = one.links.map(parentsBelow);
  const { onFailure, ranks, isRanked } = one.flow;
  const work = { ...tasks(after.length, after), ...(isRanked ? { ranks: ranks.slice(0, after.length) } : {}) };
  return submission([group(work, { ...one.policy, onFailure })], { kind: "workflow", keepInputs: true });
});

/** An array first, then tasks of which some wait for it. */
export const mixed: fc.Arbitrary<Submission> = fc
  .record({
    ...size,
    links,
    policy,
    maxFailures: fc.option(fc.integer({ min: 1, max: 5 })),
    delayMs: fc.constantFrom(0, 0, 20_000),
  })
  .map((one) => {
    const after = one.links.map((numbers, index) => parentsBelow(numbers, index + 1));
    const groups = [
      group(array(one.length, one.chunk), one.policy),
      group(tasks(after.length, after), { delayMs: one.delayMs }),
    ];
    return submission(groups, {
      kind: "workflow",
      keepInputs: true,
      ...(one.maxFailures === null ? {} : { maxFailures: one.maxFailures }),
    });
  });
