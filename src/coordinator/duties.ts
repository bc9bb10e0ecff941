/** All duties of a coordinator, in one list. */
import type { Clock } from "../util/clock.ts";
import type { Duty } from "./duty.ts";
import { workflowDurations } from "./durations.ts";
import { overdue } from "./overdue.ts";
import { reaper } from "./reaper.ts";
import { retention } from "./retention.ts";
import { timers } from "./timers.ts";
import { verification } from "./verification.ts";

export function dutiesOf(clock: Clock): readonly Duty[] {
  return [reaper, timers, overdue, verification, retention, workflowDurations(clock)];
}
