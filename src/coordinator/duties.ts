/** All duties of a coordinator, in one list. */
import type { Duty } from "./duty.ts";
import { overdue } from "./overdue.ts";
import { reaper } from "./reaper.ts";
import { retention } from "./retention.ts";
import { timers } from "./timers.ts";
import { verification } from "./verification.ts";

export const DUTIES: readonly Duty[] = [reaper, timers, overdue, verification, retention];
