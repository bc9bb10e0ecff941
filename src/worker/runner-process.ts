/**
 * One runner as an operating system process: started, spoken to, listened to, killed. What is said
 * on the wire and what a death means is for runner.ts to judge.
 *
 * The process leads a process group of its own. So a Ctrl-C in the terminal does not reach it (the
 * supervisor drains in order instead), and a kill reaches everything that user code has started.
 */
import { type ChildProcess, spawn } from "node:child_process";
import type { Socket } from "node:net";
import type { Clock } from "../util/clock.ts";
import { siblingModule } from "../util/sibling-module.ts";
import { heapLimitOptions } from "./memory.ts";
import { NdjsonReader } from "./ndjson.ts";
import type { OrphanGuard } from "./orphan-guard.ts";
import { OutputTap } from "./output-tap.ts";
import { COMMAND_FD, isRunnerReport, REPORT_FD, type RunnerCommand, type RunnerReport } from "./runner-wire.ts";

/** After its exit, the pipes of a process may be held open by what it started; they are read this long. */
const LAST_WORDS_MS = 250;
/** A process that has closed its wire is given this long to exit. */
const EXIT_MS = 1_000;
/** Runner processes are told apart from the worker in a process list by this. */
const RUNNER_ARGUMENT = "holdfast-runner";

export interface RunnerProcessOptions {
  readonly worker: string;
  readonly memoryLimitMb: number | undefined;
  readonly clock: Clock;
  readonly guard: OrphanGuard;
}

export interface RunnerProcessEvents {
  report(report: RunnerReport): void;
  /** More of stdout or stderr has been read. */
  output(): void;
  /** The process is gone and everything it said has been handed over. Comes once, last. */
  died(death: ProcessDeath): void;
}

export interface ProcessDeath {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** The operating system refused to start it. */
  readonly spawnError?: Error;
}

export class RunnerProcess {
  readonly stdout = new OutputTap();
  readonly stderr = new OutputTap();
  readonly #options: RunnerProcessOptions;
  readonly #events: RunnerProcessEvents;
  /** Undefined when the operating system refused. */
  readonly #child: ChildProcess | undefined;
  #unsent = "";
  #dead = false;
  /** Cancels the timer that ends the wait for a process or its pipes. */
  #cancelTimer: (() => void) | undefined;

  constructor(options: RunnerProcessOptions, events: RunnerProcessEvents) {
    this.#options = options;
    this.#events = events;
    try {
      this.#child = spawnRunner(options);
    } catch (thrown) {
      const spawnError = thrown instanceof Error ? thrown : new Error(String(thrown));
      queueMicrotask(() => this.#died(spawnError));
      return;
    }
    if (this.#child.pid !== undefined) options.guard.add(this.#child.pid);
    this.#listen(this.#child);
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Commands of one turn of the event loop travel in one write. */
  send(command: RunnerCommand): void {
    if (this.#unsent === "") queueMicrotask(() => this.#flush());
    this.#unsent += `${JSON.stringify(command)}\n`;
  }

  /** Lets it exit by itself: there is nothing more to do. */
  end(): void {
    this.#flush();
    this.#pipe(COMMAND_FD)?.end();
    this.#after(EXIT_MS, () => this.kill());
  }

  /** Ends it and all it has started, now. */
  kill(): void {
    const pid = this.pid;
    if (pid === undefined || this.#dead) return;
    if (!killGroup(pid)) this.#child?.kill("SIGKILL");
  }

  // Undefined also when Node could not even make the pipes.
  #pipe(fd: number): Socket | undefined {
    return this.#child?.stdio?.[fd] as Socket | undefined;
  }

  #flush(): void {
    if (this.#unsent === "") return;
    const text = this.#unsent;
    this.#unsent = "";
    const commands = this.#pipe(COMMAND_FD);
    if (commands !== undefined && !commands.destroyed && !commands.writableEnded) commands.write(text);
  }

  #listen(child: ChildProcess): void {
    const reader = new NdjsonReader<unknown>((report) => {
      if (!isRunnerReport(report)) throw new SyntaxError("no report of a runner");
      this.#events.report(report);
    });
    const reports = this.#pipe(REPORT_FD);
    reports?.on("data", (bytes: Buffer) => {
      try {
        reader.push(bytes);
      } catch (thrown) {
        if (!(thrown instanceof SyntaxError)) throw thrown;
        this.kill(); // user code wrote into our pipe; nothing that follows can be trusted
      }
    });
    // It is exiting, or user code closed our pipe and it must not go on.
    reports?.on("end", () => this.#after(EXIT_MS, () => this.kill()));
    for (const pipe of [reports, this.#pipe(COMMAND_FD)]) {
      pipe?.on("error", () => {
        // A broken pipe: "exit" tells of the process's death.
      });
    }
    this.#tap(child.stdout, this.stdout);
    this.#tap(child.stderr, this.stderr);
    child.once("error", (error) => {
      if (child.pid === undefined) this.#died(error);
    });
    child.once("exit", () => {
      if (child.pid !== undefined) {
        killGroup(child.pid); // what user code started and left behind
        this.#options.guard.remove(child.pid);
      }
      this.#after(LAST_WORDS_MS, () => this.#died());
    });
    child.once("close", () => this.#died());
  }

  #tap(stream: NodeJS.ReadableStream | null, tap: OutputTap): void {
    stream?.on("data", (bytes: Buffer) => {
      tap.push(bytes);
      this.#events.output();
    });
    stream?.on("error", () => {
      // The pipe ends with the process; "exit" tells.
    });
  }

  #after(delayMs: number, action: () => void): void {
    this.#cancelTimer?.();
    this.#cancelTimer = this.#options.clock.schedule(delayMs, action);
  }

  #died(spawnError?: Error): void {
    if (this.#dead) return;
    this.#dead = true;
    this.#cancelTimer?.();
    this.#child?.stdout?.destroy();
    this.#child?.stderr?.destroy();
    this.#pipe(COMMAND_FD)?.destroy();
    this.#pipe(REPORT_FD)?.destroy();
    this.#events.died({
      code: this.#child?.exitCode ?? null,
      signal: this.#child?.signalCode ?? null,
      ...(spawnError === undefined ? {} : { spawnError }),
    });
  }
}

function spawnRunner(options: RunnerProcessOptions): ChildProcess {
  const runnerMain = siblingModule(import.meta.url, "./runner-main");
  return spawn(
    process.execPath,
    [...heapLimitOptions(options.memoryLimitMb), runnerMain, RUNNER_ARGUMENT, options.worker],
    { stdio: ["ignore", "pipe", "pipe", "pipe", "pipe"], detached: process.platform !== "win32", windowsHide: true },
  );
}

/** False when there is no such group (any more). */
function killGroup(pid: number): boolean {
  if (process.platform === "win32") return false;
  try {
    process.kill(-pid, "SIGKILL");
    return true;
  } catch {
    return false; // ESRCH: nothing is left of it
  }
}
