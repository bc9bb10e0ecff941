/**
 * The runner process: runs user code, and nothing depends on its health.
 *
 * Its states: started → says `ready` → runs what comes over the wire → exits when the wire closes.
 * See runner-wire.ts for what its death means, whichever way it comes.
 */
import { enableCompileCache } from "node:module";
import type { RunLoop } from "./runner/run-loop.ts";

// Before anything else is loaded: compiled code of earlier runners is used again.
enableCompileCache();

const { OutputCount } = await import("./runner/output-count.ts");
const { RunLoop: Loop } = await import("./runner/run-loop.ts");
const { SupervisorChannel } = await import("./runner/supervisor-channel.ts");

/** Who reads a process list sees `holdfast-runner WORKER`. */
const worker = process.argv[3] ?? "";
const output = new OutputCount();
const channel = new SupervisorChannel({
  command: (command) => loop.take(command),
  closed: () => leave(),
});
const loop: RunLoop = new Loop({ channel, output, worker });
let isLeaving = false;

process.on("exit", () => {
  isLeaving = true;
  loop.sayExiting();
});

process.on("uncaughtException", (error) => {
  // Whatever state user code is in, it is not to be trusted with another attempt.
  if (!loop.isRunning) console.error(error);
  loop.failCurrent(error);
  process.exit(1);
});

channel.open();
output.begin();
channel.tell({ type: "ready" });

/** The supervisor has ended this runner, or is gone. */
function leave(): void {
  if (isLeaving) return;
  isLeaving = true;
  // With work at hand nobody ended us: our results can go nowhere, so neither we nor what we have started may go on.
  if (loop.isBusy && process.platform !== "win32") process.kill(-process.pid, "SIGKILL");
  process.exit(0);
}
