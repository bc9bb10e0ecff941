/**
 * A process of the benchmark that answers one request at a time over its IPC channel. It ends by
 * itself when the driver goes away.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";

type Answer = { readonly answer: unknown } | { readonly problem: string };

export class Child {
  readonly #process: ChildProcess;
  readonly #ended: Promise<never>;

  constructor(module: string) {
    this.#process = fork(module, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
    this.#ended = once(this.#process, "exit").then(([code, signal]: unknown[]) => {
      throw new Error(`A process of the benchmark ended early (${String(code ?? signal)}).`);
    });
    // Of no interest while nothing is asked.
    this.#ended.catch(() => undefined);
  }

  async ask<Reply>(request: object): Promise<Reply> {
    const answered = once(this.#process, "message") as Promise<[Answer]>;
    this.#process.send(request);
    const [reply] = await Promise.race([answered, this.#ended]);
    if ("problem" in reply) throw new Error(reply.problem);
    return reply.answer as Reply;
  }

  /** Most memory that the process took, so far. */
  peakMb(): number {
    return peakMb(this.#process.pid ?? 0);
  }

  /** Lets the process end in order. */
  async end(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = once(this.#process, "exit");
    this.#process.disconnect();
    await ended;
  }
}

/** Most memory that a process took, so far; NaN where the system does not tell (it is Linux that does). */
export function peakMb(pid: number | "self"): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    return Math.round(Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) / 1_024);
  } catch {
    return Number.NaN;
  }
}

/** The other side: answers every request with what `handle` returns, and cleans up at the end. */
export function serveRequests(handle: (request: never) => Promise<unknown>, cleanUp: () => Promise<void>): void {
  process.on("message", (request: unknown) => {
    handle(request as never).then(
      (answer) => process.send?.({ answer: answer ?? null }),
      (thrown: unknown) =>
        process.send?.({ problem: thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown) }),
    );
  });
  process.on("disconnect", () => {
    cleanUp().then(
      () => process.exit(0),
      () => process.exit(1),
    );
  });
}
