/** Whether what lies in Redis adds up: counters, leases and sessions, queues. */
import type { Link } from "../link/link.ts";
import type { Check } from "./check.ts";

export interface DataCheckParams {
  readonly link: Link;
  readonly namespace: string;
  /** Set right what does not add up, where that is safe beside running workers. */
  readonly repair: boolean;
}

export type DataCheck = (params: DataCheckParams) => Promise<Check>;

/** All of them, in the order in which they are told. */
const DATA_CHECKS: readonly DataCheck[] = [];

/** One after the other: each bounds its own portions, so that workers are not held up. */
export async function dataChecks(params: DataCheckParams): Promise<readonly Check[]> {
  const found: Check[] = [];
  for (const check of DATA_CHECKS) found.push(await check(params));
  return found;
}
