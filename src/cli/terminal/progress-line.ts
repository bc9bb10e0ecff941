/**
 * The one-line progress: a bar of 20 cells, done/total, percent, rate, elapsed or remaining time.
 * On a narrow terminal the parts that say least go first, the bar shrinks, and nothing wraps.
 */
import { count, duration, percent, quantity } from "./figures.ts";
import type { Terminal } from "./terminal.ts";
import { textWidth } from "./text-width.ts";
import type { Theme } from "./theme.ts";

export const BAR_CELLS = 20;
const NARROW_BAR_CELLS = 8;

export interface Progress {
  readonly done: number;
  readonly total: number;
  /** What is counted, plural: `chunks`, `points`. */
  readonly unit: string;
  readonly ratePerSecond?: number;
  /** What the rate counts, plural. */
  readonly rateUnit: string;
  readonly elapsedMs: number;
  /** Absent: unknown, or not to be shown. */
  readonly remainingMs?: number;
}

export function progressBar(
  done: number,
  total: number,
  options: { readonly cells: number; readonly theme: Theme },
): string {
  const { cells, theme } = options;
  const share = total <= 0 ? 1 : Math.min(1, Math.max(0, done / total));
  const full = share === 1 ? cells : Math.min(cells - 1, Math.floor(share * cells));
  return theme.good(theme.signs.barFull.repeat(full)) + theme.faint(theme.signs.barEmpty.repeat(cells - full));
}

/** The widest layout that fits. */
export function progressLine(progress: Progress, terminal: Terminal, theme: Theme): string {
  const layouts = progressLayouts(progress, theme);
  // The last column stays free: some terminals wrap when it is written.
  const room = terminal.columns - 1;
  return layouts.find((layout) => textWidth(layout) <= room) ?? (layouts.at(-1) as string);
}

/** The same facts without a bar, for a pipe. */
export function plainProgressLine(progress: Progress): string {
  const { done, total, unit } = progress;
  return [`${count(done)}/${count(total)} ${unit} (${percent(done, total)})`, ...rateAndTime(progress)].join("  ");
}

function progressLayouts(progress: Progress, theme: Theme): string[] {
  const { done, total, unit } = progress;
  const bar = progressBar(done, total, { cells: BAR_CELLS, theme });
  const shortBar = progressBar(done, total, { cells: NARROW_BAR_CELLS, theme });
  const share = percent(done, total);
  const fraction = `${count(done)}/${count(total)}`;
  const [rate, time] = [rateText(progress), timeText(progress)];
  const shortTime = duration(progress.elapsedMs);
  return [
    [bar, `${fraction} ${unit} (${share})`, rate, time],
    [bar, `${fraction} (${share})`, rate, time],
    [bar, `${fraction} (${share})`, rate, shortTime],
    [bar, `${fraction} (${share})`, rate],
    [shortBar, `${fraction} (${share})`, rate, shortTime],
    [shortBar, `${fraction} (${share})`, shortTime],
    [bar, share, shortTime],
    [shortBar, share, shortTime],
    [shortBar, share],
  ].map((parts) => parts.filter((part) => part !== "").join("  "));
}

function rateAndTime(progress: Progress): string[] {
  return [rateText(progress), timeText(progress)].filter((part) => part !== "");
}

function rateText(progress: Progress): string {
  return progress.ratePerSecond === undefined ? "" : `${quantity(progress.ratePerSecond)} ${progress.rateUnit}/s`;
}

function timeText(progress: Progress): string {
  const elapsed = duration(progress.elapsedMs);
  return progress.remainingMs === undefined ? elapsed : `${elapsed}, ${duration(progress.remainingMs)} left`;
}
