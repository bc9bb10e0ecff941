/**
 * The body of a request: read within its limits, and parsed without changing what it says.
 *
 * A whole number that JavaScript cannot keep is refused rather than rounded, and so is a key that
 * would reach an object's prototype. Nothing of a body that is refused has been looked at by anybody else.
 */
import { isUtf8 } from "node:buffer";
import type { IncomingMessage } from "node:http";
import { pathTo } from "../core/untrusted.ts";
import { HoldfastError } from "../errors/index.ts";
import type { Clock } from "../util/clock.ts";
import { InvalidRequest } from "./invalid-request.ts";
import { faultPosition } from "./json-position.ts";

export interface BodyLimits {
  readonly bytes: number;
  /** The whole body must be here this long after its head. */
  readonly timeoutMs: number;
}

interface BodySource {
  readonly request: IncomingMessage;
  readonly limits: BodyLimits;
  readonly clock: Clock;
  /** Id of the operation, for errors. */
  readonly operation: string;
}

/**
 * The parsed body; undefined when there is none.
 *
 * Errors: PAYLOAD_TOO_LARGE, BODY_TIMEOUT, UNSUPPORTED_MEDIA_TYPE, INVALID_REQUEST, TOO_BIG_INTEGER.
 */
export async function readBody(source: BodySource): Promise<unknown> {
  const { headers } = source.request;
  const announced = Number(headers["content-length"] ?? 0);
  if (announced > source.limits.bytes) throw tooLarge(announced, source.limits);
  if (announced === 0 && headers["transfer-encoding"] === undefined) return undefined;
  checkMediaType(headers["content-type"], headers["content-encoding"]);
  const bytes = await collect(source);
  if (bytes.length === 0) return undefined;
  if (!isUtf8(bytes)) throw new InvalidRequest(source.operation, [{ path: "body", problem: "is no UTF-8 text" }]);
  return parseJson(bytes.toString("utf8"), source.operation);
}

function checkMediaType(type: string | undefined, encoding: string | undefined): void {
  const expected = "application/json in UTF-8, not compressed";
  const [essence = "", ...parameters] = (type ?? "").toLowerCase().split(";");
  if (essence.trim() !== "application/json")
    throw new HoldfastError("UNSUPPORTED_MEDIA_TYPE", { found: type ?? "of no declared type", expected });
  const foreign = parameters.map((text) => text.trim()).find((text) => /^charset=(?!"?utf-?8"?$)/.test(text));
  if (foreign !== undefined) throw new HoldfastError("UNSUPPORTED_MEDIA_TYPE", { found: foreign, expected });
  if (encoding !== undefined && encoding !== "identity")
    throw new HoldfastError("UNSUPPORTED_MEDIA_TYPE", { found: `compressed (${encoding})`, expected });
}

function collect({ request, limits, clock }: BodySource): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const end = (settle: () => void): void => {
      cancel();
      request.off("data", onData).off("end", onEnd).off("close", onClose).off("error", onClose);
      settle();
    };
    const refuse = (error: HoldfastError): void =>
      end(() => {
        request.on("error", () => undefined).pause();
        reject(error);
      });
    const onData = (chunk: Buffer): void => {
      length += chunk.length;
      if (length > limits.bytes) refuse(tooLarge(length, limits));
      else chunks.push(chunk);
    };
    const onEnd = (): void => end(() => resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)));
    const onClose = (): void => refuse(timedOut(limits));
    const cancel = clock.schedule(limits.timeoutMs, () => refuse(timedOut(limits)));
    request.on("data", onData).on("end", onEnd).on("close", onClose).on("error", onClose);
  });
}

function tooLarge(bytes: number, limits: BodyLimits): HoldfastError {
  return new HoldfastError("PAYLOAD_TOO_LARGE", { what: "body", bytes, limit: limits.bytes });
}

function timedOut(limits: BodyLimits): HoldfastError {
  return new HoldfastError("BODY_TIMEOUT", { timeoutMs: limits.timeoutMs });
}

/** Only texts with one of these can hold what must be refused: most bodies are parsed once, and fast. */
const SUSPICIOUS = /\d{16}|\d[eE]\+?\d{3}|__proto__|\\u005[fF]/;

/** Longest text whose fault is looked for, UTF-16 code units. */
const MAX_EXPLAINED = 1_048_576;

function parseJson(text: string, operation: string): unknown {
  try {
    if (!SUSPICIOUS.test(text)) return JSON.parse(text) as unknown;
    const value: unknown = JSON.parse(text, markFaults);
    const found = findFault(value, "body");
    if (found === undefined) return value;
    throw faultError(found, operation);
  } catch (thrown) {
    if (thrown instanceof HoldfastError) throw thrown;
    throw new InvalidRequest(operation, [{ path: "body", problem: problemOf(thrown, text) }]);
  }
}

function problemOf(thrown: unknown, text: string): string {
  if (thrown instanceof RangeError) return "is nested too deep";
  if (text.length > MAX_EXPLAINED) return `is no JSON: ${(thrown as Error).message.split("\n", 1)[0]}`;
  const at = faultPosition(text);
  const found = at >= text.length ? "it ends too early" : `${JSON.stringify(text.slice(at, at + 10))} cannot be there`;
  return `is no JSON: at position ${at} ${found}`;
}

function faultError({ path, fault }: FoundFault, operation: string): HoldfastError {
  if (fault.kind === "number") return new HoldfastError("TOO_BIG_INTEGER", { path, value: shownNumber(fault.source) });
  return new InvalidRequest(operation, [{ path, problem: "has the key __proto__, which is not taken" }]);
}

/** Stands in the parsed body where something must be refused. */
class Fault {
  readonly kind: "number" | "prototype";
  readonly source: string;

  constructor(kind: "number" | "prototype", source: string) {
    this.kind = kind;
    this.source = source;
  }
}

/** A reviver. It is not told where it is, so it leaves a mark that is looked for afterwards. */
function markFaults(key: string, value: unknown, context?: { readonly source?: string }): unknown {
  if (key === "__proto__") return new Fault("prototype", "");
  if (typeof value !== "number") return value;
  const source = context?.source ?? "";
  const isKept = Number.isSafeInteger(value) || !/^-?\d+$/.test(source) || String(value) === source;
  return isKept && Number.isFinite(value) ? value : new Fault("number", source);
}

interface FoundFault {
  readonly path: string;
  readonly fault: Fault;
}

function findFault(value: unknown, path: string): FoundFault | undefined {
  if (value instanceof Fault) return { path, fault: value };
  if (typeof value !== "object" || value === null) return undefined;
  const entries = Array.isArray(value) ? value.entries() : Object.entries(value);
  for (const [key, field] of entries) {
    const isPrototype = field instanceof Fault && field.kind === "prototype";
    const found = findFault(field, isPrototype ? path : pathTo(path, key));
    if (found !== undefined) return found;
  }
  return undefined;
}

function shownNumber(source: string): string {
  return source.length > 40 ? `${source.slice(0, 37)}...` : source;
}
