import { EVENT_STREAM, type EVENT_OPERATIONS } from "../../api/operations/events.ts";
import { FROM_NOW, type ReadEventsReply } from "../../broker/contract.ts";
import { veiledEvent } from "../../broker/remote/veil.ts";
import { readOrNow } from "../waiting.ts";
import { type Call, type HandlersOf, RawReply, type ServerParts } from "../handler.ts";
import { InvalidRequest } from "../invalid-request.ts";
import type { Watch } from "../watch.ts";

/** Proxies are asked to pass events on one by one. */
const STREAM_HEADERS = { "cache-control": "no-store, no-transform", "x-accel-buffering": "no" };
const ACCEPTS_STREAM = /(?:^|,)\s*text\/event-stream\s*(?:[;,]|$)/i;
const LAST_ID = "last-event-id";

interface Asked {
  readonly executionId?: string;
  readonly cursor: number;
  readonly limit: number;
  readonly waitMs: number;
}

export function eventHandlers({ broker }: ServerParts, { hub }: Watch): HandlersOf<typeof EVENT_OPERATIONS> {
  const answer = async (asked: Asked, call: Call): Promise<ReadEventsReply | RawReply> => {
    if (!ACCEPTS_STREAM.test(call.header("accept") ?? "")) return page(asked, call);
    const cursor = lastIdOf(call) ?? asked.cursor;
    const stream = await hub.open({ ...asked, cursor, signal: call.signal });
    return new RawReply(`${EVENT_STREAM}; charset=utf-8`, stream, STREAM_HEADERS);
  };
  const page = async ({ waitMs, ...asked }: Asked, call: Call): Promise<ReadEventsReply> => {
    // To wait for what is to come, the broker must be told from where.
    const cursor = asked.cursor === FROM_NOW && waitMs > 0 ? (await broker.readEvents(asked)).cursor : asked.cursor;
    const look = (within: number): Promise<ReadEventsReply> => broker.readEvents({ ...asked, cursor, waitMs: within });
    const read = await readOrNow(look, waitMs, () => call.signal);
    return { ...read, events: read.events.map((event) => veiledEvent(event)) };
  };
  return {
    listExecutionEvents: ({ params, query }, call) =>
      answer({ ...params, cursor: query.cursor ?? 0, limit: query.limit, waitMs: query.wait ?? 0 }, call),
    listEvents: ({ query }, call) =>
      answer({ cursor: query.cursor ?? FROM_NOW, limit: query.limit, waitMs: query.wait ?? 0 }, call),
  };
}

/** Where a reader that comes back has stopped. */
function lastIdOf(call: Call): number | undefined {
  const text = call.header(LAST_ID)?.trim();
  if (text === undefined || text === "") return undefined;
  const cursor = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(cursor)) return cursor;
  throw new InvalidRequest("events", [{ path: `header ${LAST_ID}`, problem: "expected the cursor of an event" }]);
}
