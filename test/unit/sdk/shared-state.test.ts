/** What a holder of a lock believes, in virtual time, whatever the broker answers. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { HoldfastError } from "../../../src/errors/index.ts";
import { type StateBroker, takeLock } from "../../../src/sdk/shared-state.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

interface Scene {
  readonly clock: VirtualClock;
  readonly released: string[];
  readonly extended: number[];
  readonly lock: ReturnType<typeof takeLock>;
}

function take(state: Partial<StateBroker>, options: Parameters<typeof takeLock>[2] = {}): Scene {
  const clock = new VirtualClock();
  const released: string[] = [];
  const extended: number[] = [];
  const broker = {
    acquireLock: async () => ({ grant: { token: 7, expiresAt: 0 }, ahead: 0 }),
    extendLock: async () => {
      extended.push(clock.now());
      return { token: 7, expiresAt: 0 };
    },
    releaseLock: async ({ owner }: { readonly owner: string }) => {
      released.push(owner);
      return { released: true };
    },
    ...state,
  } as unknown as StateBroker;
  const lock = takeLock({ broker, clock, newId: () => "me" }, "x", { ttl: "30s", ...options });
  return { clock, released, extended, lock };
}

test("a held lock is extended every third of its time until it is released", async () => {
  const { clock, extended, released, lock } = take({});
  const held = await lock;
  const from = clock.now();
  await clock.advance(31_000);
  assert.deepEqual(
    extended.map((at) => at - from),
    [10_000, 20_000, 30_000],
  );
  await held.release();
  await held.release();
  await clock.advance(60_000);
  assert.equal(extended.length, 3);
  assert.deepEqual(released, ["me"]);
  assert.equal(held.signal.aborted, false);
});

test("a lock that another has is lost at the next extension", async () => {
  const { clock, released, lock } = take({
    extendLock: () => Promise.reject(new HoldfastError("LOCK_LOST", { lock: "x" })),
  });
  const held = await lock;
  await clock.advance(10_000);
  assert.ok(held.signal.aborted);
  assert.equal((held.signal.reason as HoldfastError).code, "LOCK_LOST");
  await held.release();
  assert.deepEqual(released, [], "what is lost is not released");
});

test("a broker that does not answer makes the lock lost when its time is surely over, and not before", async () => {
  const { clock, lock } = take({ extendLock: () => new Promise(() => undefined) });
  const held = await lock;
  await clock.advance(29_999);
  assert.equal(held.signal.aborted, false);
  await clock.advance(1);
  assert.ok(held.signal.aborted);
});

test("an extension that failed by the way does not lose a lock whose time is not over", async () => {
  let failures = 1;
  const { clock, lock } = take({
    extendLock: async () => {
      if (failures > 0) {
        failures -= 1;
        throw new HoldfastError("BROKER_UNREACHABLE", { url: "b", problem: "away" });
      }
      return { token: 7, expiresAt: 0 };
    },
  });
  const held = await lock;
  await clock.advance(60_000);
  assert.equal(held.signal.aborted, false);
});

test("who gives up waiting leaves the line, and takes no lock that comes too late", async () => {
  let grant: (() => void) | undefined;
  const abort = new AbortController();
  const { released, lock } = take(
    {
      acquireLock: () =>
        new Promise((resolve) => {
          grant = () => resolve({ grant: { token: 7, expiresAt: 0 }, ahead: 0 });
        }),
    },
    { signal: abort.signal },
  );
  abort.abort(new Error("enough"));
  grant?.();
  await assert.rejects(lock, /enough/);
  assert.deepEqual(released, ["me"]);
});

test("wait: 0 takes it now or not at all", async () => {
  const { released, lock } = take({ acquireLock: async () => ({ ahead: 3 }) }, { wait: 0 });
  await assert.rejects(lock, { code: "LOCK_TAKEN" });
  assert.deepEqual(released, ["me"]);
});
