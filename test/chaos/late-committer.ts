/**
 * A worker that says nothing between its claim and its commit but heartbeats: claims one task of the
 * broker of its arguments, a folder or a Redis, says `claimed`, and when its standard input ends commits at
 * once, before anything else can tell it that its lease is gone. Then it says how that was answered.
 */
import { openBroker } from "../../src/app/open-broker.ts";
import { defaultSettings } from "../../src/config/index.ts";
import { HoldfastError } from "../../src/errors/index.ts";
import { silentLogger } from "../../src/telemetry/log.ts";
import { systemClock } from "../../src/util/clock.ts";

const broker = await openBroker(process.argv[2] ?? "", { settings: defaultSettings(), logger: silentLogger });
const { session, heartbeatMs } = await broker.openSession({
  worker: "late",
  host: "here",
  pid: process.pid,
  pools: ["default"],
  capabilities: ["cpu"],
  slots: 1,
});
const clock = systemClock({ keepAlive: true });
let stopBeating = (): void => undefined;
function beat(): void {
  broker.heartbeat({ session, running: 1 }).then(
    () => {
      stopBeating = clock.schedule(heartbeatMs, beat);
    },
    () => undefined,
  );
}
beat();
const { leases } = await broker.claim({ session, max: 1, waitMs: 20_000 });
const [lease] = leases;
if (lease === undefined) throw new Error("there was nothing to claim");
process.stdout.write("claimed\n");
process.stdin
  .on("end", () => {
    stopBeating();
    const { executionId, task, token } = lease;
    const outcomes = [
      { kind: "completed", lease: { executionId, task, token }, result: '"late"', durationMs: 1 },
    ] as const;
    broker
      .commit({ session, outcomes })
      .then(
        ({ verdicts }) => process.stdout.write(`${verdicts.join()}\n`),
        (error: unknown) => process.stdout.write(`${HoldfastError.from(error).code}\n`),
      )
      .finally(() => process.exit());
  })
  .resume();
