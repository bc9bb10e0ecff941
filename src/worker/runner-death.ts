/** What the end of a runner process says about the attempt that was at work in it. Pure. */
import type { Failure } from "../core/failure.ts";
import { HoldfastError } from "../errors/index.ts";
import { failureOf } from "./outcome.ts";
import type { ProcessDeath } from "./runner-process.ts";

export interface DeathEvidence {
  readonly death: ProcessDeath;
  /** It went through its exit handlers: user code called `process.exit`, or nothing caught an error. */
  readonly exitedByItself: boolean;
  /** The supervisor killed it because its resident set was over the limit. */
  readonly killedForMemory: boolean;
  readonly memoryLimitMb: number | undefined;
  /** The end of what it wrote to stderr. */
  readonly stderr: string;
}

/** V8 says this before it aborts the process. */
const HEAP_EXHAUSTED = /heap out of memory|Allocation failed - process out of memory/;
const ABORT_EXIT_CODE = 134;

export function failureOfDeath(evidence: DeathEvidence): Failure {
  if (evidence.killedForMemory || isHeapExhaustion(evidence)) return outOfMemory(evidence.memoryLimitMb);
  const error = new HoldfastError("RUNNER_EXITED", { how: describe(evidence.death) });
  return failureOf(error, evidence.exitedByItself ? "user-error" : "unknown");
}

function isHeapExhaustion({ death, stderr }: DeathEvidence): boolean {
  // Windows and shells report an abort as a code; the kernel as a signal; V8 may also trap (SIGILL, SIGTRAP).
  const aborted = death.code === ABORT_EXIT_CODE || (death.signal !== null && death.signal !== "SIGKILL");
  return aborted && HEAP_EXHAUSTED.test(stderr);
}

function outOfMemory(limitMb: number | undefined): Failure {
  if (limitMb !== undefined) return failureOf(new HoldfastError("TASK_OUT_OF_MEMORY", { limitMb }), "out-of-memory");
  return {
    class: "out-of-memory",
    code: "TASK_OUT_OF_MEMORY",
    message: "The task used up the memory that Node gives a process; set a memory limit for the task to allow more.",
  };
}

function describe({ code, signal, spawnError }: ProcessDeath): string {
  if (spawnError !== undefined) return spawnError.message;
  if (signal === "SIGKILL") return "killed by SIGKILL; the system may have run out of memory";
  if (signal !== null) return `killed by ${signal}`;
  return `exit code ${code ?? "unknown"}`;
}
