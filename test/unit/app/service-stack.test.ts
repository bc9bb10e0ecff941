import assert from "node:assert/strict";
import { test } from "node:test";
import { ServiceStack } from "../../../src/lifecycle/service-stack.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

function stack(clock: VirtualClock) {
  const troubles: string[] = [];
  const services = new ServiceStack({
    clock,
    stopTimeoutMs: 1_000,
    onTrouble: (service, error) => troubles.push(`${service}: ${error.message}`),
  });
  return { services, troubles };
}

test("services stop in the reverse order of their start, once", async () => {
  const { services, troubles } = stack(new VirtualClock());
  const stopped: string[] = [];
  for (const name of ["store", "coordinator", "server"]) services.add(name, () => void stopped.push(name));
  await Promise.all([services.stop(), services.stop()]);
  await services.stop();
  assert.deepEqual(stopped, ["server", "coordinator", "store"]);
  assert.deepEqual(troubles, []);
});

test("one that fails or hangs does not keep the others from stopping", async () => {
  const clock = new VirtualClock();
  const { services, troubles } = stack(clock);
  const stopped: string[] = [];
  services.add("store", () => void stopped.push("store"));
  services.add("hanging", () => new Promise<void>(() => undefined));
  services.add("failing", () => Promise.reject(new Error("no")));
  const stopping = assert.rejects(services.stop(), { message: "no" });
  await clock.advance(1_000);
  await stopping;
  assert.deepEqual(stopped, ["store"]);
  assert.deepEqual(troubles, ["failing: no", "hanging: hanging did not stop within 1000 ms."]);
  assert.equal(clock.waiting, 0);
});
