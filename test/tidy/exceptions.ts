/**
 * Places where a tidy rule does not hold, each with its reason. The list only shrinks: an entry
 * that no longer stands for a breach fails its rule's test.
 */
import assert from "node:assert/strict";

export interface Exception {
  readonly rule: string;
  readonly file: string;
  readonly reason: string;
}

export interface Breach {
  readonly file: string;
  /** What is wrong and what to do instead. */
  readonly problem: string;
}

export const EXCEPTIONS: readonly Exception[] = [
  {
    rule: "console",
    file: "src/worker/runner-main.ts",
    reason: "the runner's standard error is what the supervisor keeps as the attempt's output",
  },
  {
    rule: "environment",
    file: "src/worker/runner/steps/command.ts",
    reason: "a command has its worker's environment, with what its node adds",
  },
];

/** Fails for every breach that is not excepted, and for every exception without a breach. */
export function assertNoBreaches(rule: string, breaches: readonly Breach[]): void {
  const excepted = new Set(EXCEPTIONS.filter((exception) => exception.rule === rule).map(({ file }) => file));
  const open = breaches.filter(({ file }) => !excepted.has(file)).map(({ file, problem }) => `${file}: ${problem}`);
  const broken = new Set(breaches.map(({ file }) => file));
  const stale = [...excepted]
    .filter((file) => !broken.has(file))
    .map((file) => `${file}: exception is no longer needed`);
  assert.deepEqual([...open, ...stale], [], `${rule}: see test/tidy/exceptions.ts`);
}
