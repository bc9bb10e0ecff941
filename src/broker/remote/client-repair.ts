/**
 * What a client does about claims whose fate it cannot know.
 *
 * A host that dies without a word may have granted a claim and not have been able to say so. The
 * next host finds the leases in the store, held by a session that lives and does not know of them:
 * nobody would ever run them. The contract cannot ask for them, so the session is given up: its
 * leases are handed back, and the worker opens a new session when it hears SESSION_LOST. That
 * costs attempts that run at that moment, in workers that had a claim under way, at a crash of the
 * host; it happens neither at an orderly end nor at a lost connection (wire.ts).
 *
 * Outcomes come first: a commit that also claims is sent again without its claim, and only when it
 * is answered is the session closed.
 */
import { HoldfastError } from "../../errors/index.ts";
import type { CommitParams } from "../contract.ts";
import type { CallTable, PendingCall } from "./client-calls.ts";
import { readTail, requestTail } from "./wire.ts";

export interface DoubtfulSession {
  readonly session: string;
  /** Resolves when the session's outcomes that were under way have been answered. */
  readonly outcomesAnswered: Promise<unknown>;
}

/** Takes claims that another host than `host` may have granted out of the table. */
export function settleDoubtfulClaims(calls: CallTable, host: string): readonly DoubtfulSession[] {
  const commits = new Map<string, Promise<void>[]>();
  for (const call of calls.all()) {
    const session = call.claimsFor;
    if (session === undefined || call.sentTo === undefined || call.sentTo === host) continue;
    const answered = commits.get(session) ?? [];
    commits.set(session, answered);
    if (call.method === "commit" && call.settle !== undefined) answered.push(withoutClaim(call));
    else calls.take(call.id)?.settle?.reject(new HoldfastError("SESSION_LOST", { session }));
  }
  return [...commits].map(([session, answered]) => ({ session, outcomesAnswered: Promise.all(answered) }));
}

/** Leaves the claim out of a commit. Resolves when the commit is answered, in whatever way. */
function withoutClaim(call: PendingCall): Promise<void> {
  const { claim: _, ...outcomesOnly } = readTail(call.tail).params as CommitParams;
  call.tail = requestTail(call.method, outcomesOnly);
  call.claimsFor = undefined;
  const settle = call.settle;
  return new Promise((resolve) => {
    call.settle = {
      resolve: (result) => {
        settle?.resolve(result);
        resolve();
      },
      reject: (error) => {
        settle?.reject(error);
        resolve();
      },
    };
  });
}
