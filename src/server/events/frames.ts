/** Events as Server-Sent Events. */
import type { BrokerEvent } from "../../broker/contract.ts";
import { veiledEvent } from "../../broker/remote/veil.ts";
import type { ExecutionState } from "../../core/states.ts";

/** A reader that was cut off may come back after this long, milliseconds. */
const RETRY_HINT_MS = 2_000;

export interface Frame {
  readonly cursor: number;
  readonly text: string;
}

/** How an execution's stream ends: it has ended and all is told, or it is no longer kept. */
export interface StreamEnd {
  readonly executionId: string;
  readonly state: ExecutionState | "gone";
}

export function eventFrame(event: BrokerEvent): Frame {
  const text = `id: ${event.cursor}\nevent: ${event.change.kind}\ndata: ${JSON.stringify(veiledEvent(event))}\n\n`;
  return { cursor: event.cursor, text };
}

export function endFrame(end: StreamEnd, cursor: number): string {
  return `id: ${cursor}\nevent: end\ndata: ${JSON.stringify({ ...end, cursor })}\n\n`;
}

/** Sent at once, so that a reader knows that it is heard, and where it stands before the first event. */
export function greeting(cursor: number): string {
  return `retry: ${RETRY_HINT_MS}\nid: ${cursor}\n\n`;
}

const COMMENT = ": still here\n\n";
/** Keeps proxies from taking a quiet stream for a dead one. */
export const HEARTBEAT = Buffer.from(COMMENT);
