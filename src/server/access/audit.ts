/**
 * The audit log: one JSON line for every changing call and every refusal, with who, from where, what
 * and how it ended. No bodies and no secrets.
 *
 * Refusals cost their sender nothing, so they must not fill a disk: per window only the first
 * MAX_REFUSALS are written one by one, the others counted, and the count is a line at its end.
 */
import type { Clock } from "../../util/clock.ts";
import type { AuditEntry } from "../access.ts";
import type { AuditSink } from "./audit-file.ts";

export const REFUSALS_WINDOW_MS = 10_000;
export const MAX_REFUSALS = 100;

const REFUSED = new Set([401, 403, 429]);
const MAX_TEXT = 256;
const MAX_PARAMS = 32;
const SECRET_NAME = /token|secret|passw|authorization|signature/i;
const SECRET_TEXT = /\bhf_[0-9a-z-]{1,64}_[\w-]+/g;
const CENSOR = "[redacted]";

export class AuditLog {
  readonly #sink: AuditSink;
  readonly #clock: Clock;
  #refusals = 0;
  #windowBegan = 0;
  #cancelWindow: (() => void) | undefined;

  constructor(sink: AuditSink, clock: Clock) {
    this.#sink = sink;
    this.#clock = clock;
  }

  record(entry: AuditEntry): void {
    if (REFUSED.has(entry.status) && !this.#mayTellRefusal()) return;
    this.#sink.write(JSON.stringify(auditLine(entry, this.#clock.now())));
  }

  close(): void {
    this.#endWindow();
    this.#sink.close();
  }

  #mayTellRefusal(): boolean {
    if (this.#cancelWindow === undefined) {
      this.#refusals = 0;
      this.#windowBegan = this.#clock.now();
      this.#cancelWindow = this.#clock.schedule(REFUSALS_WINDOW_MS, () => this.#endWindow());
    }
    this.#refusals += 1;
    return this.#refusals <= MAX_REFUSALS;
  }

  #endWindow(): void {
    if (this.#cancelWindow === undefined) return;
    this.#cancelWindow();
    this.#cancelWindow = undefined;
    const untold = this.#refusals - MAX_REFUSALS;
    if (untold <= 0) return;
    const [time, since] = [isoTime(this.#clock.now()), isoTime(this.#windowBegan)];
    this.#sink.write(JSON.stringify({ time, since, refusalsNotListed: untold }));
  }
}

function auditLine(entry: AuditEntry, now: number): Record<string, unknown> {
  const { requestId, principal, remoteAddress, operation, params, status, error } = entry;
  return {
    time: isoTime(now),
    requestId: clean(requestId),
    ...(principal === undefined ? {} : { principal: clean(principal.name), role: principal.role }),
    ...(principal?.tokenId === undefined ? {} : { tokenId: principal.tokenId }),
    remoteAddress: clean(remoteAddress),
    // What was asked for may carry a query, and a query anything.
    operation: clean(operation.split("?", 1)[0] ?? ""),
    ...(params === undefined ? {} : { params: cleanParams(params) }),
    status,
    ...(error === undefined ? {} : { error }),
  };
}

function cleanParams(params: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const shown: [string, unknown][] = [];
  for (const [name, value] of Object.entries(params).slice(0, MAX_PARAMS)) {
    if (value === undefined) continue;
    if (SECRET_NAME.test(name) && name !== "tokenId") shown.push([clean(name), CENSOR]);
    else if (typeof value === "string") shown.push([clean(name), clean(value)]);
    else if (typeof value === "number" || typeof value === "boolean") shown.push([clean(name), value]);
    else if (Array.isArray(value)) shown.push([clean(name), `[${value.length}]`]);
  }
  return Object.fromEntries(shown);
}

function clean(text: string): string {
  return text
    .slice(0, 2 * MAX_TEXT)
    .replace(SECRET_TEXT, CENSOR)
    .slice(0, MAX_TEXT);
}

function isoTime(now: number): string {
  return new Date(now).toISOString();
}
