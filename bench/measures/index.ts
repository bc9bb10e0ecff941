import type { Measure } from "../measure.ts";
import { httpEvents, httpHeartbeats, httpState } from "./http.ts";
import { claimLatency, startLatency } from "./latency.ts";
import { inProcess } from "./process.ts";
import { processRemote } from "./process-remote.ts";
import { processWorkers } from "./process-workers.ts";
import { arraySubmit, waitingBytes } from "./size.ts";
import { submit } from "./submit.ts";
import { sweepOverhead, sweepOverheadRedis } from "./sweep.ts";

export const MEASURES: readonly Measure[] = [
  submit,
  inProcess,
  processRemote,
  processWorkers,
  claimLatency,
  startLatency,
  sweepOverhead,
  sweepOverheadRedis,
  arraySubmit,
  waitingBytes,
  httpState,
  httpHeartbeats,
  httpEvents,
];
