/** The eight phases of the demonstration: which one it is in, how long each took, what it found. */
import type { PhaseReport } from "./report.ts";

export const PHASES = [
  "System initialisation",
  "Pools and their workers",
  "Submission of the deliveries",
  "Parallel execution",
  "Crisis: workers are killed",
  "Automatic recovery",
  "Completion and its proof",
  "Performance and report",
] as const;

interface Phase {
  readonly startedMs: number;
  endedMs: number | undefined;
  done: boolean;
  readonly facts: string[];
}

export class PhaseBook {
  readonly #phases: Phase[] = [];
  readonly #now: () => number;
  readonly #onEnter: (number: number, name: string) => void;

  /** `now`: milliseconds since the demo began. */
  constructor(now: () => number, onEnter: (number: number, name: string) => void) {
    this.#now = now;
    this.#onEnter = onEnter;
  }

  get current(): number {
    return this.#phases.length;
  }

  /** Ends the one before. */
  enter(number: number): void {
    const last = this.#phases.at(-1);
    if (last !== undefined) last.endedMs ??= this.#now();
    this.#phases.push({ startedMs: this.#now(), endedMs: undefined, done: false, facts: [] });
    this.#onEnter(number, PHASES[number - 1] ?? "");
  }

  /** What the phase was for has happened. Facts may come before and after. */
  done(number: number): void {
    const phase = this.#phases[number - 1];
    if (phase !== undefined) phase.done = true;
  }

  fact(number: number, fact: string): void {
    this.#phases[number - 1]?.facts.push(fact);
  }

  /** Of all eight, also of those that never began. */
  report(): PhaseReport[] {
    return PHASES.map((name, index): PhaseReport => {
      const phase = this.#phases[index];
      const startedMs = phase?.startedMs ?? this.#now();
      return {
        number: index + 1,
        name,
        startedMs: Math.round(startedMs),
        durationMs: Math.round((phase?.endedMs ?? this.#now()) - startedMs),
        done: phase?.done ?? false,
        facts: phase?.facts ?? [],
      };
    });
  }
}
