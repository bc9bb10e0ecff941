/** What each kind of node does: as it starts, and as it goes on after it has suspended itself. */
import type { Resumption } from "../../broker/contract.ts";
import type { Json } from "../../sdk/workflow/node.ts";
import type { Ending } from "./job.ts";
import type { NodeAttempt } from "./node-attempt.ts";
import { runCommand } from "./steps/command.ts";
import { endCompensation, startCompensation } from "./steps/compensate.ts";
import { runFunction } from "./steps/function.ts";
import { endMap, startMap } from "./steps/map.ts";
import { replay } from "./steps/replay.ts";
import { endSleep, startSleep } from "./steps/sleep.ts";
import { endWait, startWait } from "./steps/wait.ts";
import { endWorkflow, startWorkflow } from "./steps/workflow.ts";

/** @throws HoldfastError for what another try would not change. */
export function startStep(attempt: NodeAttempt, input: Json): Ending | Promise<Ending> {
  const { does } = attempt.loaded.handler;
  switch (does.kind) {
    case "function":
      return runFunction(attempt, input);
    case "command":
      return runCommand(attempt, does, input);
    case "map":
      return startMap(attempt, does, input);
    case "workflow":
      return startWorkflow(attempt, does, input);
    case "wait":
      return startWait(attempt, does);
    case "sleep":
      return startSleep(attempt, does, input);
    case "compensate":
      return startCompensation(attempt, does);
    case "replay":
      return replay(attempt, input);
  }
}

/** @throws HoldfastError for what another try would not change. */
export function resumeStep(attempt: NodeAttempt, resumed: Resumption): Ending {
  const { does } = attempt.loaded.handler;
  switch (does.kind) {
    case "map":
      return endMap(attempt, does, resumed);
    case "workflow":
      return endWorkflow(attempt, does, resumed);
    case "wait":
      return endWait(attempt, does, resumed);
    case "sleep":
      return endSleep();
    case "compensate":
      return endCompensation(resumed);
    case "function":
    case "command":
    case "replay":
      return attempt.fault(`it goes on, though a ${does.kind} never suspends itself`);
  }
}
