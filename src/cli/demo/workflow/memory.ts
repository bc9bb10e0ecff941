/** What processes take, as the system tells it (Linux; elsewhere only this process knows of itself). */
import { readFileSync } from "node:fs";
import type { MemoryReport } from "./report.ts";

/** Keeps the most that was seen. */
export class MemoryWatch {
  #workerKb = 0;
  #runnerKb = 0;

  /** Looks at workers and the runners that they have started. Those that have ended meanwhile are passed over. */
  look(workers: readonly number[]): void {
    for (const pid of workers) {
      this.#workerKb = Math.max(this.#workerKb, peakKb(pid));
      for (const child of childrenOf(pid)) this.#runnerKb = Math.max(this.#runnerKb, peakKb(child));
    }
  }

  report(): MemoryReport {
    return {
      workerMb: megabytes(this.#workerKb),
      runnerMb: megabytes(this.#runnerKb),
      serverMb: megabytes(peakKb(process.pid)) ?? Math.round(process.memoryUsage().rss / 2 ** 20),
    };
  }
}

function peakKb(pid: number): number {
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(read(`/proc/${pid}/status`))?.[1] ?? 0);
}

function childrenOf(pid: number): number[] {
  const listed = read(`/proc/${pid}/task/${pid}/children`).trim();
  return listed === "" ? [] : listed.split(/\s+/).map(Number);
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

function megabytes(kilobytes: number): number | null {
  return kilobytes === 0 ? null : Math.round(kilobytes / 1_024);
}
