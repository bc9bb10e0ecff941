/**
 * The file of the audit log: lines are added at its end, one write each, so that several processes
 * may share it. Only its user may read it.
 *
 * A line is with the operating system before the next thing happens: a killed process loses none, a
 * power cut the last ones. Whoever rotates the file renames or removes it; a look once a second
 * notices, and the next line begins a new one. What cannot be written (a full disk) stops nobody's
 * work: it is told in the log, with how many lines are missing.
 */
import { closeSync, fchmodSync, fstatSync, openSync, statSync, writeSync } from "node:fs";
import type { Logger } from "../../telemetry/log.ts";
import type { Clock } from "../../util/clock.ts";

/** Where lines of the audit log go. */
export interface AuditSink {
  /** One line, without its end. Never throws. */
  write(line: string): void;
  close(): void;
}

export interface AuditFileOptions {
  readonly file: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

const LOOK_EVERY_MS = 1_000;
const COMPLAIN_EVERY_MS = 60_000;
const MODE = 0o600;

export class AuditFile implements AuditSink {
  readonly #options: AuditFileOptions;
  #descriptor: number | undefined;
  #lookedAt = 0;
  #missing = 0;
  #complainedAt = Number.NEGATIVE_INFINITY;

  /** Opens the file, so that what is wrong with it is known at the start. Errors: those of the file system. */
  constructor(options: AuditFileOptions) {
    this.#options = options;
    this.#open();
  }

  write(line: string): void {
    try {
      this.#lookForRotation();
      writeSync(this.#descriptor ?? this.#open(), `${line}\n`);
    } catch (thrown) {
      this.#complain(thrown);
    }
  }

  close(): void {
    if (this.#descriptor === undefined) return;
    closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }

  #open(): number {
    const descriptor = openSync(this.#options.file, "a", MODE);
    // The mode above counts only for a new file.
    fchmodSync(descriptor, MODE);
    this.#descriptor = descriptor;
    this.#lookedAt = this.#options.clock.now();
    return descriptor;
  }

  #lookForRotation(): void {
    const now = this.#options.clock.now();
    if (this.#descriptor === undefined || now - this.#lookedAt < LOOK_EVERY_MS) return;
    this.#lookedAt = now;
    const [ours, there] = [fstatSync(this.#descriptor), statSync(this.#options.file, { throwIfNoEntry: false })];
    if (there === undefined || there.ino !== ours.ino || there.dev !== ours.dev) this.close();
  }

  #complain(thrown: unknown): void {
    this.#missing += 1;
    const { clock, logger, file } = this.#options;
    if (clock.now() - this.#complainedAt < COMPLAIN_EVERY_MS) return;
    this.#complainedAt = clock.now();
    logger.error({ file, missing: this.#missing, error: thrown }, "the audit log cannot be written");
  }
}

/** The audit log as lines of the log, for those who collect that; also where the log tells of less. */
export function auditToLog(logger: Logger): AuditSink {
  const child = logger.child({ part: "audit" }, { level: "info" });
  return { write: (line) => child.info({ audit: JSON.parse(line) as unknown }, "audit"), close: () => undefined };
}
