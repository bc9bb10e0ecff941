/**
 * Progress as it happens: on a terminal one line (and lines above it) that are redrawn,
 * in a pipe a plain line about every tenth, and in a long run from time to time.
 */
import type { Clock } from "../../util/clock.ts";
import type { Screen } from "./screen.ts";
import { plainProgressLine, type Progress, progressLine } from "./progress-line.ts";

const REDRAW_MS = 100;
const PLAIN_STEPS = 10;
const PLAIN_AT_LEAST_EVERY_MS = 60_000;

export interface ProgressView {
  /** What to show now. */
  readonly progress: () => Progress;
  /** Lines above the progress line, each no wider than the terminal. */
  readonly above?: () => readonly string[];
}

/** Shows progress until `stop` is called; `refresh` after news. */
export class ProgressDisplay {
  readonly #screen: Screen;
  readonly #view: ProgressView;
  readonly #clock: Clock;
  #cancelRedraw: (() => void) | undefined;
  #stepsTold = 0;
  #toldAtMs = 0;

  constructor({ screen, clock }: { readonly screen: Screen; readonly clock: Clock }, view: ProgressView) {
    this.#screen = screen;
    this.#clock = clock;
    this.#view = view;
    this.#redraw();
    this.#redrawSoon();
  }

  refresh(): void {
    if (this.#screen.terminal.interactive) this.#redraw();
    else this.#tellStep();
  }

  /** Prints lines above what is redrawn. */
  print(lines: readonly string[]): void {
    this.#screen.print(...lines);
  }

  stop(): void {
    this.#cancelRedraw?.();
    this.#screen.settle();
  }

  #redrawSoon(): void {
    if (!this.#screen.terminal.interactive) return;
    this.#cancelRedraw = this.#clock.schedule(REDRAW_MS, () => {
      this.#redraw();
      this.#redrawSoon();
    });
  }

  #redraw(): void {
    const { terminal, theme } = this.#screen;
    if (!terminal.interactive) return;
    this.#screen.live([...(this.#view.above?.() ?? []), progressLine(this.#view.progress(), terminal, theme)]);
  }

  /** One plain line for each tenth that was reached, the last of several at once. */
  #tellStep(): void {
    const progress = this.#view.progress();
    const step = Math.floor((progress.done * PLAIN_STEPS) / progress.total);
    const overdue = progress.elapsedMs - this.#toldAtMs >= PLAIN_AT_LEAST_EVERY_MS;
    if (step <= this.#stepsTold && !overdue) return;
    this.#stepsTold = step;
    this.#toldAtMs = progress.elapsedMs;
    this.#screen.print(...(this.#view.above?.() ?? []), plainProgressLine(progress));
  }
}
