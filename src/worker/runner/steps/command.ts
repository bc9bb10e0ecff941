/**
 * Runs a program. Its input is JSON on standard input, its output what it writes to standard output;
 * what it writes to standard error is the attempt's.
 *
 * It leads a process group of its own, so that it and all that it starts can be told to stop, and
 * nothing of it is left when it has ended. The runner's death takes it along: the guard of commands
 * sees the runner's end, however it comes, and kills their groups, as the worker's guard kills runners.
 * A shell holds the program back until the guard has been told of it.
 */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { MAX_PAYLOAD } from "../../../broker/limits.ts";
import type { FailureClass } from "../../../core/failure.ts";
import { HoldfastError } from "../../../errors/index.ts";
import type { CommandStep, Json } from "../../../sdk/workflow/node.ts";
import { type Clock, systemClock } from "../../../util/clock.ts";
import { OrphanGuard } from "../../orphan-guard.ts";
import { failureFromError, failureFromThrown } from "../failure.ts";
import { completed, type Ending, failed } from "../job.ts";
import type { NodeAttempt } from "../node-attempt.ts";

/**
 * After a timeout, from SIGTERM to SIGKILL: shorter than what the supervisor grants, so that the runner
 * lives on. Otherwise the worker's grace time holds, and the runner is killed with its command.
 */
const TIMEOUT_GRACE_MS = 200;
/** After its end, what holds its pipes open outside its group is waited for this long. */
const LAST_WORDS_MS = 250;
/** Of standard error, for the failure's message. */
const TAIL_LENGTH = 1_000;
const MAX_COMMAND_SHOWN = 100;
/** Goes on when a line comes on file descriptor 3, and ends when the runner does before that. */
const GATE = "read -r _ <&3 || exit 1; exec 3<&-";
const GATE_FD = 3;
/** What a shell says of a program that is not there, or is none. */
const NO_PROGRAM: readonly (number | null)[] = [126, 127];

const guard = new OrphanGuard();
const clock: Clock = systemClock({ keepAlive: true });

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

const HAS_GROUPS = process.platform !== "win32";

export function runCommand(attempt: NodeAttempt, step: CommandStep, input: Json): Promise<Ending> {
  return new Command(attempt, step).run(JSON.stringify(input));
}

interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

class Command {
  readonly #attempt: NodeAttempt;
  readonly #step: CommandStep;
  readonly #written: Buffer[] = [];
  #writtenLength = 0;
  #tail = "";
  #cancelKill: (() => void) | undefined;

  constructor(attempt: NodeAttempt, step: CommandStep) {
    this.#attempt = attempt;
    this.#step = step;
  }

  async run(input: string): Promise<Ending> {
    const { signal } = this.#attempt.job.control;
    guard.warmUp();
    let child: Child;
    try {
      child = this.#spawn();
    } catch (thrown) {
      return this.#notStarted(thrown); // a NUL in the text, or no room for another process
    }
    const { pid } = child;
    if (pid !== undefined) guard.add(pid);
    openGate(child);
    const stop = (): void => this.#stop(child, signal.reason);
    signal.addEventListener("abort", stop, { once: true });
    try {
      const exit = await this.#follow(child, input);
      return signal.aborted ? failed(failureFromThrown(signal.reason)) : this.#ending(exit);
    } catch (thrown) {
      return this.#notStarted(thrown);
    } finally {
      signal.removeEventListener("abort", stop);
      this.#cancelKill?.();
      if (pid !== undefined) guard.remove(pid);
    }
  }

  #spawn(): Child {
    const { command, cwd, env } = this.#step;
    const { id, job } = this.#attempt;
    const about = {
      HOLDFAST_EXECUTION: job.run.executionId,
      HOLDFAST_NODE: id,
      HOLDFAST_ATTEMPT: String(job.run.attempt),
      HOLDFAST_WORKER: job.worker,
    };
    const [program = "", ...parameters] = HAS_GROUPS ? gated(command) : [command].flat();
    return spawn(program, parameters, {
      stdio: ["pipe", "pipe", "pipe", "pipe"],
      shell: !HAS_GROUPS && typeof command === "string",
      detached: HAS_GROUPS,
      windowsHide: true,
      env: { ...process.env, ...env, ...about },
      ...(cwd === undefined ? {} : { cwd }),
    });
  }

  /** Resolves when it has ended and all that it wrote was read; rejects when it could not be started. */
  #follow(child: Child, input: string): Promise<Exit> {
    const { promise, resolve, reject } = Promise.withResolvers<Exit>();
    let cancelWait: (() => void) | undefined;
    child.once("error", reject);
    child.once("exit", (code, signal) => {
      killGroup(child, "SIGKILL"); // what it started and left behind
      cancelWait = clock.schedule(LAST_WORDS_MS, () => resolve({ code, signal }));
    });
    child.once("close", (code, signal) => {
      cancelWait?.();
      resolve({ code, signal });
    });
    child.stdin.on("error", () => {
      // It does not read its input.
    });
    child.stdin.end(input);
    child.stdout.on("data", (bytes: Buffer) => this.#keep(child, bytes));
    child.stderr.on("data", (bytes: Buffer) => this.#pass(bytes));
    return promise;
  }

  #keep(child: Child, bytes: Buffer): void {
    if (this.#step.output === "none") {
      process.stdout.write(bytes);
      return;
    }
    this.#writtenLength += bytes.length;
    if (this.#writtenLength > MAX_PAYLOAD) killGroup(child, "SIGKILL");
    else this.#written.push(bytes);
  }

  #pass(bytes: Buffer): void {
    process.stderr.write(bytes);
    this.#tail = (this.#tail + bytes.toString("utf8")).slice(-TAIL_LENGTH);
  }

  #stop(child: Child, reason: unknown): void {
    killGroup(child, "SIGTERM");
    if (reason instanceof HoldfastError && reason.code === "TASK_TIMEOUT")
      this.#cancelKill = clock.schedule(TIMEOUT_GRACE_MS, () => killGroup(child, "SIGKILL"));
  }

  #ending({ code, signal }: Exit): Ending {
    if (this.#writtenLength > MAX_PAYLOAD) {
      const details = { what: "What the command wrote", bytes: `more than ${MAX_PAYLOAD}`, limit: MAX_PAYLOAD };
      return failed(failureFromError(new HoldfastError("PAYLOAD_TOO_LARGE", details), "invalid-input"));
    }
    if (signal !== null) return this.#failed(`was killed by ${signal}${this.#lastWords()}`);
    if (typeof this.#step.command !== "string" && NO_PROGRAM.includes(code))
      return this.#failed(`could not be started${this.#lastWords()}`, "invalid-input");
    if (code !== 0) return this.#failed(`ended with exit code ${code}${this.#lastWords()}`);
    return this.#output();
  }

  #output(): Ending {
    const text = Buffer.concat(this.#written).toString("utf8");
    switch (this.#step.output ?? "text") {
      case "none":
        return completed(null);
      case "text":
        return completed(text.replace(/\r?\n$/, ""));
      case "lines":
        return completed(text === "" ? [] : text.replace(/\r?\n$/, "").split(/\r?\n/));
      case "json":
        break;
    }
    try {
      return completed(JSON.parse(text));
    } catch (thrown) {
      const problem = thrown instanceof Error ? thrown.message : String(thrown);
      return this.#failed(`wrote no JSON to its standard output: ${problem}`);
    }
  }

  #lastWords(): string {
    const said = this.#tail.trim();
    return said === "" ? "" : `: ${said}`;
  }

  #failed(how: string, failureClass: FailureClass = "user-error"): Ending {
    const { command } = this.#step;
    const text = typeof command === "string" ? command : command.join(" ");
    const shown = text.length > MAX_COMMAND_SHOWN ? `${text.slice(0, MAX_COMMAND_SHOWN - 1)}…` : text;
    // The message ends with a full stop of its own.
    const details = { command: shown, how: how.replace(/\.$/, "") };
    return failed(failureFromError(new HoldfastError("COMMAND_FAILED", details), failureClass));
  }

  #notStarted(thrown: unknown): Ending {
    const code = (thrown as NodeJS.ErrnoException | undefined)?.code;
    const { cwd } = this.#step;
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    // The system says the same of a program and of its folder.
    const problem = code === "ENOENT" && cwd !== undefined ? `${message}, or there is no folder ${cwd}` : message;
    // Too many processes, say, may pass.
    const isPassing = code === "EAGAIN" || code === "ENOMEM" || code === "EMFILE" || code === "ENFILE";
    return this.#failed(`could not be started: ${problem}`, isPassing ? "unknown" : "invalid-input");
  }
}

function gated(command: CommandStep["command"]): readonly string[] {
  const text = typeof command === "string" ? [`${GATE}\n${command}`] : [`${GATE}; exec "$@"`, "sh", ...command];
  return ["/bin/sh", "-c", ...text];
}

function openGate({ stdio }: Child): void {
  const gate = (stdio as readonly unknown[])[GATE_FD] as Writable | undefined;
  gate?.on("error", () => {
    // It could not be started, or was killed before; its end is told otherwise.
  });
  gate?.end("\n");
}

function killGroup(child: Child, signal: "SIGTERM" | "SIGKILL"): void {
  if (child.pid === undefined) return;
  try {
    if (HAS_GROUPS) process.kill(-child.pid, signal);
    else child.kill(signal);
  } catch {
    // ESRCH: nothing is left of it.
  }
}
