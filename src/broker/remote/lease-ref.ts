import type { LeaseRef } from "../contract.ts";

/** Only what names the attempt: a lease carries more, which no outcome may. */
export function leaseRef(lease: LeaseRef): LeaseRef {
  return {
    executionId: lease.executionId,
    task: lease.task,
    token: lease.token,
    ...(lease.start === undefined ? {} : { start: lease.start }),
    ...(lease.replica === undefined ? {} : { replica: lease.replica }),
  };
}
