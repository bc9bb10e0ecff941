/** All cases of the contract, in the order in which a reader learns about a broker. */
import { arrayCases } from "./cases/arrays.ts";
import { boundsCases } from "./cases/bounds.ts";
import { cancelCases } from "./cases/cancel.ts";
import { claimCases } from "./cases/claim.ts";
import { commitCases } from "./cases/commit.ts";
import { chunkFailureCases } from "./cases/chunk-failures.ts";
import { dependencyCases } from "./cases/dependencies.ts";
import { dutyCases } from "./cases/duties.ts";
import { eventCases } from "./cases/events.ts";
import { extendCases } from "./cases/extend.ts";
import { fairnessCases } from "./cases/fairness.ts";
import { fencingCases } from "./cases/fencing.ts";
import { pauseCases } from "./cases/pause.ts";
import { propertyCases } from "./cases/properties.ts";
import { reconcileCases } from "./cases/reconcile.ts";
import { resultCases } from "./cases/results.ts";
import { retentionCases } from "./cases/retention.ts";
import { retryCases } from "./cases/retry.ts";
import { sessionCases } from "./cases/sessions.ts";
import { submitCases } from "./cases/submit.ts";
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
  arrayCases,
  chunkFailureCases,
  commitCases,
  fencingCases,
  retryCases,
  sessionCases,
  reconcileCases,
  pauseCases,
  cancelCases,
  resultCases,
  eventCases,
  verificationCases,
  dutyCases,
  retentionCases,
  boundsCases,
  viewCases,
  propertyCases,
];

export function caseId(group: CaseGroup, one: ContractCase): string {
  return `${group.name}: ${one.name}`;
}
