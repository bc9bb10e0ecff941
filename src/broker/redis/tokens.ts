/**
 * Fencing tokens: where the stream entry of an attempt is, and which session it was given to.
 *
 * `q17-1.0.1.4`: stream (q queue, a again, c chunks), entry id, task group, attempt, number of the
 * session; for a chunk also its end. Made by scripts/lib/orders.lua in the same way.
 */
import type { LeaseRef } from "../contract.ts";
import { UNIT } from "./submit-arguments.ts";

export interface Token {
  readonly stream: string;
  readonly entry: string;
  readonly group: string;
  readonly attempt: string;
  readonly session: string;
  /** End of a chunk, exclusive; empty for a task. */
  readonly end: string;
}

export function makeToken({ stream, entry, group, attempt, session, end }: Token): string {
  const token = `${stream}${entry}.${group}.${attempt}.${session}`;
  return end === "" ? token : `${token}.${end}`;
}

const TOKEN = /^([qac])(\d+-\d+)\.(\d+)\.(\d+)\.(\d+)(?:\.(\d+))?$/;
/** Of a lease that nobody ever had. */
const NO_TOKEN: Token = { stream: "q", entry: "0-0", group: "0", attempt: "0", session: "0", end: "" };

export function parseToken(token: string): Token {
  const parts = TOKEN.exec(token);
  if (parts === null) return NO_TOKEN;
  const [, stream = "", entry = "", group = "", attempt = "", session = "", end = ""] = parts;
  return { stream, entry, group, attempt, session, end };
}

/** A lease as the scripts name it in orders. */
export function refText({ executionId, task, start, replica, token }: LeaseRef): string {
  return [executionId, task, start ?? "", replica ?? "", token].join(UNIT);
}

export function parseRef(text: string): LeaseRef {
  const [executionId = "", task = "", start = "", replica = "", token = ""] = text.split(UNIT);
  return {
    executionId,
    task: Number(task),
    token,
    ...(start === "" ? {} : { start: Number(start) }),
    ...(replica === "" ? {} : { replica: Number(replica) }),
  };
}
