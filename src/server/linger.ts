/**
 * An answer to somebody who is still sending: a body that was refused in its middle.
 *
 * To close the connection at once would reset it, and with it the answer, before its reader has got
 * it. So the answer is given whole, what still comes is thrown away for a moment, and then the
 * connection is closed.
 */
import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import type { Clock } from "../util/clock.ts";

/** For the answer to arrive and its reader to stop sending. */
export const LINGER_MS = 1_000;

/** The text, and an end that comes when the request's sender has stopped, or after LINGER_MS. */
export function lingering(text: string, request: IncomingMessage, clock: Clock): Readable {
  const answer = new Readable({ read: () => undefined });
  const end = (): void => {
    cancel();
    request.off("end", end).off("close", end);
    answer.push(null);
  };
  const cancel = clock.schedule(LINGER_MS, end);
  answer.push(text);
  request.on("end", end).on("close", end).resume();
  return answer;
}
