/** The watch over an attempt judges by what it has heard, also when its own process stood still. */
import assert from "node:assert/strict";
import { stat } from "node:fs";
import { describe, it } from "node:test";
import { systemClock } from "../../../src/util/clock.ts";
import { newAttempt } from "../../../src/worker/attempt.ts";
import { AttemptWatch } from "../../../src/worker/attempt-watch.ts";

const TIMEOUT_MS = 30;

function watched(): { readonly watch: AttemptWatch; readonly timedOut: Promise<void>; readonly isOut: () => boolean } {
  let isOut = false;
  const { promise, resolve } = Promise.withResolvers<void>();
  const watch = new AttemptWatch(
    { clock: systemClock({ keepAlive: true }), graceMs: 1_000, memoryLimitMb: undefined, pid: () => undefined },
    {
      timedOut: () => {
        isOut = true;
        resolve();
      },
      graceOver: () => undefined,
      overMemory: () => undefined,
    },
  );
  const spec = { name: "t", handler: "{}", number: 1, averageMs: undefined, timeoutMs: TIMEOUT_MS };
  watch.begin(newAttempt({ executionId: "x", task: 0, token: "1", spec: "x/0", attempt: 1 }, spec));
  return { watch, timedOut: promise, isOut: () => isOut };
}

/** The event loop does nothing else meanwhile, as when the machine stands still. */
function standStill(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until) continue;
}

describe("the watch over an attempt", () => {
  it("tells of a timeout", async () => {
    const { timedOut } = watched();
    await timedOut;
  });

  it("hears first what came while it stood still: an attempt that ended in time has not timed out", async () => {
    const { watch, isOut } = watched();
    // As when a runner's end is told: it is there, and read after the timers that are due.
    await new Promise<void>((resolve) => {
      setImmediate(() => {
        stat(".", () => {
          watch.close();
          resolve();
        });
        standStill(4 * TIMEOUT_MS);
      });
    });
    assert.equal(isOut(), false);
  });

  it("tells of a timeout in the end when it stood still and nothing came", async () => {
    const { timedOut } = watched();
    standStill(4 * TIMEOUT_MS);
    await timedOut;
  });
});
