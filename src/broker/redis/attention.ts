/**
 * Whether one who reaps sessions may judge them: a worker's silence counts only while it could be heard.
 *
 * Three things keep it from being heard. The server was away, or the connection to it was: seen by how
 * long both have been there. The server stood still, and reads what workers said meanwhile only now, in
 * any order: seen by the script, because much time has passed on the server's clock since it answered us
 * last. Or we stood still ourselves, which looks the same. Afterwards workers have a while to speak.
 *
 * Who has not reaped before, as a coordinator that takes over, begins in the same way; only those whose
 * connection is gone are judged at once, because that no pause of a server can bring about unseen.
 */
import type { ScriptArgument } from "./shard.ts";

/** After a break everybody comes back within this time; who beats more seldom than that speaks later. */
const COMEBACK_MS = 2_000;
const COMEBACK_BEATS = 2;
/** Reapers ask several times per second. */
const STOOD_STILL_MS = 1_500;
/** Of the time after which a silent session is dead. */
const STOOD_STILL_SHARE = 1 / 3;

export interface ReapLimits {
  readonly limit: number;
  readonly heartbeatMs: number;
  readonly deadAfterMs: number;
  readonly socketGraceMs: number;
}

export class Attention {
  readonly #listeningMs: () => number;
  /** When we were answered last, and since when without a pause; on the server's clock. */
  #answeredAt: number | undefined;
  #attentiveSince = 0;
  #hasStoodStill = false;
  #stoodStillMs = STOOD_STILL_MS;

  /** `listeningMs`: how long the server and the connection to it have been there; Infinity: they always are. */
  constructor(listeningMs: () => number) {
    this.#listeningMs = listeningMs;
  }

  /** Of the script reap-sessions; made at the last moment, because waiting for the server changes them. */
  reapArguments({ limit, heartbeatMs, deadAfterMs, socketGraceMs }: ReapLimits): ScriptArgument[] {
    this.#stoodStillMs = Math.min(STOOD_STILL_MS, Math.floor(deadAfterMs * STOOD_STILL_SHARE));
    const heardMs = this.#listeningMs();
    const isNeverAway = heardMs === Infinity;
    const attentiveMs = (this.#answeredAt ?? 0) - this.#attentiveSince;
    const hasComeBack = attentiveMs >= COMEBACK_MS;
    const hasSpoken = hasComeBack && attentiveMs >= COMEBACK_BEATS * heartbeatMs;
    const judgesSilence = isNeverAway || (heardMs >= deadAfterMs && hasSpoken);
    const countsListeners = isNeverAway || (heardMs >= COMEBACK_MS && (hasComeBack || !this.#hasStoodStill));
    const answeredAt = isNeverAway ? "" : (this.#answeredAt ?? "");
    const flags = [judgesSilence, countsListeners].map((flag) => (flag ? "1" : "0"));
    return [limit, deadAfterMs, ...flags, socketGraceMs, answeredAt, this.#stoodStillMs];
  }

  /** The script ran, at this time of the server. */
  answered(now: number): void {
    const before = this.#answeredAt;
    const isLate = before !== undefined && now - before > this.#stoodStillMs;
    this.#hasStoodStill = this.#hasStoodStill || isLate;
    if (before === undefined || isLate) this.#attentiveSince = now;
    this.#answeredAt = now;
  }
}
