/**
 * The wire between a remote client and the host of a broker.
 *
 * One WebSocket on BROKER_PATH, bearer token in the upgrade's Authorization header, JSON texts:
 *
 *   client → host   ["hello", Hello]                       first, once per socket
 *   host → client   ["welcome", Welcome]                   or
 *                   ["refused", {code, details}]           and the socket closes
 *   client → host   [id, received, method, params]         a request; id = 1, 2, 3 … ascending
 *                   [0, received]                          nothing but an acknowledgement
 *   host → client   [id, 0, result]                        a reply, in any order
 *                   [id, 1, {code, details}]               an error; id 0: to a frame that made no sense
 *
 * A stream outlives its sockets. `Hello.client` names the stream. The host keeps each reply until
 * the client has acknowledged it: `received` counts the reply frames that arrived since the stream
 * began. After a lost connection the client says hello with the same name and its count, the host
 * answers with `taken`, the last request it has read, and both send what the other has not got.
 * So within one life of the host each request is performed once and each reply arrives once; in
 * particular leases cannot get lost between broker and worker.
 *
 * The host forgets a stream that was without a socket for a grace time (`resumed: false`): the
 * sessions used over it are dead then and their leases taken back (host.ts). When another host
 * answers than before (Welcome.host), the client sends again what has no reply, and compares the
 * leases that it knows of with those that the broker holds (client-repair.ts). After an orderly end
 * none of its claims is in doubt: a close with code RESTART_CODE says that all replies that this
 * host will ever give have been sent before, and that requests without a reply had no effect.
 */
import { HoldfastError, type WireError } from "../../errors/index.ts";

/** Grows when old and new cannot talk. */
export const PROTOCOL_VERSION = 1;
export const BROKER_PATH = "/broker";
/** "Service restart": come back soon. */
export const RESTART_CODE = 1012;
/** The other side does not keep to the protocol. */
export const VIOLATION_CODE = 1002;
/** Most bytes of one request. Each payload is far below; it is batches that come near. */
export const MAX_REQUEST_BYTES = 67_108_864;
/** Most bytes of one reply. */
export const MAX_REPLY_BYTES = 268_435_456;

export interface Hello {
  readonly protocol: number;
  /** Name of the stream: random, chosen by the client. */
  readonly client: string;
  /** Reply frames that arrived on this stream. */
  readonly received: number;
}

export interface Welcome {
  readonly protocol: number;
  /** Name of this life of the host. */
  readonly host: string;
  readonly durable: boolean;
  /** The host knows the stream and continues it. False: it begins anew, both counts are 0. */
  readonly resumed: boolean;
  /** Id of the last request that was read from this stream. */
  readonly taken: number;
  readonly maxRequestBytes: number;
  /** The host pings this often; much longer silence means a dead connection. */
  readonly keepaliveMs: number;
}

export interface RequestFrame {
  readonly id: number;
  readonly received: number;
  readonly method: unknown;
  readonly params: unknown;
}

export interface ReplyFrame {
  readonly id: number;
  readonly body:
    | { readonly ok: true; readonly result: unknown }
    | { readonly ok: false; readonly error: HoldfastError };
}

// ── Writing ───────────────────────────────────────────────────────────────────────────────────

export function helloFrame(hello: Hello): string {
  return JSON.stringify(["hello", hello]);
}

export function welcomeFrame(welcome: Welcome): string {
  return JSON.stringify(["welcome", welcome]);
}

export function refusedFrame(error: HoldfastError): string {
  return JSON.stringify(["refused", error.toWire()]);
}

/** What of a request stays the same when it is sent again. Throws INVALID_REQUEST for what JSON cannot say. */
export function requestTail(method: string, params: unknown): string {
  try {
    return `,"${method}",${JSON.stringify(params) ?? "null"}]`;
  } catch (thrown) {
    const problem = thrown instanceof Error ? thrown.message : String(thrown);
    throw new HoldfastError("INVALID_REQUEST", { method, path: "params", problem }, { cause: thrown });
  }
}

export function requestFrame(id: number, received: number, tail: string): string {
  return `[${id},${received}${tail}`;
}

/** Method and params of a tail. */
export function readTail(tail: string): { readonly method: string; readonly params: unknown } {
  const [, method, params] = JSON.parse(`[0${tail}`) as [number, string, unknown];
  return { method, params };
}

export function acknowledgementFrame(received: number): string {
  return `[0,${received}]`;
}

export function resultFrame(id: number, result: unknown): string {
  return `[${id},0,${JSON.stringify(result) ?? "null"}]`;
}

export function errorFrame(id: number, error: HoldfastError): string {
  return `[${id},1,${JSON.stringify(error.toWire())}]`;
}

// ── Reading ───────────────────────────────────────────────────────────────────────────────────

/** A client's first frame. Throws PROTOCOL_MISMATCH or INVALID_REQUEST. */
export function readHello(text: string): Hello {
  const frame = readArray(text);
  const hello = frame[0] === "hello" && isRecord(frame[1]) ? frame[1] : undefined;
  if (hello === undefined) throw malformed("expected a hello");
  const { protocol, client, received } = hello as { protocol?: unknown; client?: unknown; received?: unknown };
  if (protocol !== PROTOCOL_VERSION) throw mismatch("the client", protocol);
  if (typeof client !== "string" || client.length === 0 || client.length > 64 || !isCount(received)) {
    throw malformed("a hello without the client's name or count");
  }
  return { protocol, client, received };
}

/** A host's first frame. Throws what it refuses with, PROTOCOL_MISMATCH or INVALID_REQUEST. */
export function readWelcome(text: string, url: string): Welcome {
  const [kind, value] = readArray(text);
  if (kind === "refused") throw readError(value);
  if (kind !== "welcome" || !isRecord(value)) throw malformed("expected a welcome");
  const welcome = value as { [K in keyof Welcome]?: unknown };
  if (welcome.protocol !== PROTOCOL_VERSION) throw mismatch(url, welcome.protocol);
  const sound =
    typeof welcome.host === "string" &&
    typeof welcome.durable === "boolean" &&
    typeof welcome.resumed === "boolean" &&
    isCount(welcome.taken) &&
    isCount(welcome.maxRequestBytes) &&
    isCount(welcome.keepaliveMs);
  if (!sound) throw malformed("an incomplete welcome");
  return value as unknown as Welcome;
}

/** Throws INVALID_REQUEST when the frame is no request; `id` 0 is an acknowledgement. */
export function readRequest(text: string): RequestFrame {
  const frame = readArray(text);
  const [id, received, method, params] = frame;
  if (!isCount(id) || !isCount(received) || frame.length !== (id === 0 ? 2 : 4)) {
    throw malformed("expected [id, received, method, params]");
  }
  return { id, received, method, params: params === null ? undefined : params };
}

/** Throws INVALID_REQUEST when the frame is no reply. */
export function readReply(text: string): ReplyFrame {
  const [id, status, value] = readArray(text);
  if (!isCount(id) || (status !== 0 && status !== 1)) throw malformed("expected [id, status, result]");
  return { id, body: status === 0 ? { ok: true, result: value } : { ok: false, error: readError(value) } };
}

function readError(value: unknown): HoldfastError {
  if (!isRecord(value) || typeof value["code"] !== "string") throw malformed("an error without a code");
  const details = isRecord(value["details"]) ? (value["details"] as WireError["details"]) : {};
  return HoldfastError.fromWire({ code: value["code"], details });
}

function readArray(text: string): readonly unknown[] {
  let frame: unknown;
  try {
    frame = JSON.parse(text);
  } catch (thrown) {
    throw malformed(thrown instanceof Error ? thrown.message.slice(0, 200) : "no JSON");
  }
  if (!Array.isArray(frame)) throw malformed("expected an array");
  return frame;
}

function malformed(problem: string): HoldfastError {
  return new HoldfastError("INVALID_REQUEST", { method: "wire", path: "frame", problem });
}

function mismatch(url: string, theirs: unknown): HoldfastError {
  return new HoldfastError("PROTOCOL_MISMATCH", { url, theirs: String(theirs).slice(0, 20), ours: PROTOCOL_VERSION });
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
