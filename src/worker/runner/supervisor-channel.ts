/**
 * The runner's end of the wire.
 *
 * Reports are written synchronously, straight to the pipe: when a call returns, the operating system
 * has the bytes, and not even SIGKILL takes them back. That is what makes an answer certain before
 * the next attempt may do harm. If the pipe is full the runner waits: the supervisor always reads.
 */
import { writeSync } from "node:fs";
import { Socket } from "node:net";
import { NdjsonReader } from "../ndjson.ts";
import { COMMAND_FD, REPORT_FD, type RunnerCommand, type RunnerReport } from "../runner-wire.ts";

/** Between two tries to write into a full pipe. */
const FULL_PIPE_WAIT_MS = 1;

export interface ChannelEvents {
  command(command: RunnerCommand): void;
  /** The supervisor has closed the wire, or is dead. */
  closed(): void;
}

export class SupervisorChannel {
  readonly #events: ChannelEvents;
  readonly #sleeper = new Int32Array(new SharedArrayBuffer(4));
  #gathered = "";
  #gatheredSince = 0;

  constructor(events: ChannelEvents) {
    this.#events = events;
  }

  /** Starts listening. */
  open(): void {
    const socket = new Socket({ fd: COMMAND_FD, readable: true, writable: false });
    const reader = new NdjsonReader<RunnerCommand>((command) => this.#events.command(command));
    socket.on("data", (bytes: Buffer) => reader.push(bytes));
    socket.on("error", () => this.#events.closed());
    socket.on("close", () => this.#events.closed());
  }

  /** Puts a report by, to be written together with others. */
  gather(report: RunnerReport): void {
    if (this.#gathered === "") this.#gatheredSince = performance.now();
    this.#gathered += `${JSON.stringify(report)}\n`;
  }

  /** How long the oldest gathered report has waited. */
  gatheredForMs(now: number): number {
    return this.#gathered === "" ? 0 : now - this.#gatheredSince;
  }

  /** Writes a report, after those that were gathered. */
  tell(report: RunnerReport): void {
    this.gather(report);
    this.flush();
  }

  flush(): void {
    if (this.#gathered === "") return;
    const bytes = Buffer.from(this.#gathered, "utf8");
    this.#gathered = "";
    let written = 0;
    while (written < bytes.length) {
      try {
        written += writeSync(REPORT_FD, bytes, written);
      } catch (thrown) {
        if ((thrown as NodeJS.ErrnoException).code !== "EAGAIN") {
          this.#events.closed();
          return;
        }
        Atomics.wait(this.#sleeper, 0, 0, FULL_PIPE_WAIT_MS);
      }
    }
  }
}
