/** All cases of the contract, in the order in which a reader learns about a broker. */
import { arrayCases } from "./cases/arrays.ts";
import { boundsCases } from "./cases/bounds.ts";
import { cancelCases } from "./cases/cancel.ts";
import { claimCases } from "./cases/claim.ts";
import { commitCases } from "./cases/commit.ts";
import { chunkFailureCases } from "./cases/chunk-failures.ts";
import { deadLetterCases } from "./cases/dead-letters.ts";
import { dependencyCases } from "./cases/dependencies.ts";
import { dutyCases } from "./cases/duties.ts";
import { editCases } from "./cases/edit.ts";
import { editFlowCases } from "./cases/edit-flow.ts";
import { editGraphCases } from "./cases/edit-graph.ts";
import { editHoldCases } from "./cases/edit-holds.ts";
import { editUndoCases } from "./cases/edit-undo.ts";
import { eventCases } from "./cases/events.ts";
import { explainCases } from "./cases/explain.ts";
import { extendCases } from "./cases/extend.ts";
import { fairnessCases } from "./cases/fairness.ts";
import { fencingCases } from "./cases/fencing.ts";
import { listingCases } from "./cases/listing.ts";
import { pauseCases } from "./cases/pause.ts";
import { poolLimitCases } from "./cases/pool-limits.ts";
import { poolCases } from "./cases/pools.ts";
import { propertyCases } from "./cases/properties.ts";
import { rankCases } from "./cases/ranks.ts";
import { reconcileCases } from "./cases/reconcile.ts";
import { replayCases } from "./cases/replay.ts";
import { rerunCases } from "./cases/rerun.ts";
import { rescueCases } from "./cases/rescue.ts";
import { resultCases } from "./cases/results.ts";
import { retentionCases } from "./cases/retention.ts";
import { retryCases } from "./cases/retry.ts";
import { sessionCases } from "./cases/sessions.ts";
import { signalCases } from "./cases/signals.ts";
import { skippingCases } from "./cases/skipping.ts";
import { checkpointCases } from "./cases/state-checkpoints.ts";
import { lineCases } from "./cases/state-lock-line.ts";
import { lockCases } from "./cases/state-locks.ts";
import { valueCases } from "./cases/state-values.ts";
import { submitCases } from "./cases/submit.ts";
import { suspensionEndCases } from "./cases/suspension-ends.ts";
import { suspensionCases } from "./cases/suspension.ts";
import { verificationCases } from "./cases/verification.ts";
import { viewCases } from "./cases/views.ts";
import { waitingCases } from "./cases/waiting.ts";
import type { CaseGroup, ContractCase } from "./contract-case.ts";

export const CASE_GROUPS: readonly CaseGroup[] = [
  submitCases,
  extendCases,
  dependencyCases,
  claimCases,
  waitingCases,
  fairnessCases,
  rankCases,
  arrayCases,
  chunkFailureCases,
  commitCases,
  fencingCases,
  retryCases,
  sessionCases,
  reconcileCases,
  pauseCases,
  cancelCases,
  deadLetterCases,
  replayCases,
  rerunCases,
  editCases,
  editGraphCases,
  editHoldCases,
  editUndoCases,
  skippingCases,
  rescueCases,
  suspensionCases,
  suspensionEndCases,
  signalCases,
  editFlowCases,
  resultCases,
  eventCases,
  verificationCases,
  dutyCases,
  lockCases,
  lineCases,
  valueCases,
  checkpointCases,
  retentionCases,
  boundsCases,
  viewCases,
  listingCases,
  poolCases,
  poolLimitCases,
  explainCases,
  propertyCases,
];

export function caseId(group: CaseGroup, one: ContractCase): string {
  return `${group.name}: ${one.name}`;
}
