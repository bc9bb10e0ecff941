import type { Measure } from "../measure.ts";
import { chains } from "./chain.ts";
import { graph } from "./graph.ts";
import { httpEvents, httpHeartbeats, httpState } from "./http.ts";
import { largeWorkflow } from "./large-workflow.ts";
import { recordings } from "./recordings.ts";
import { claimLatency, startLatency } from "./latency.ts";
import { inProcess } from "./process.ts";
import { processRemote } from "./process-remote.ts";
import { processWorkers } from "./process-workers.ts";
import { arraySubmit, waitingBytes } from "./size.ts";
import { submit } from "./submit.ts";
import { sweepOverhead, sweepOverheadRedis } from "./sweep.ts";
import { workflowBroker } from "./workflow-broker.ts";

export const MEASURES: readonly Measure[] = [
  submit,
  graph,
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
  chains,
  largeWorkflow,
  recordings,
  workflowBroker,
];
