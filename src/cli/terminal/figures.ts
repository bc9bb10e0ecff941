/** Numbers as people read them. */

/** `12,345`. */
export function count(value: number): string {
  return value.toLocaleString("en-US", { maximumFractionDigits: 0 });
}

/** `1 chunk`, `2 chunks`, `12,345 chunks`. */
export function counted(value: number, noun: string, plural = `${noun}s`): string {
  return `${count(value)} ${value === 1 ? noun : plural}`;
}

/** A rate or another quantity with about three figures: `0.42`, `4.2`, `42`, `4,200`. */
export function quantity(value: number): string {
  if (!Number.isFinite(value)) return "0";
  const digits = value >= 10 || value === 0 ? 0 : value >= 1 ? 1 : 2;
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** `30%`; never 100% before the end, never 0% after the start. */
export function percent(done: number, total: number): string {
  if (total <= 0 || done >= total) return "100%";
  const whole = Math.floor((100 * done) / total);
  return `${done > 0 ? Math.max(1, whole) : 0}%`;
}

/** `380 ms`, `4.2 s`, `44 s`, `3 min 5 s`, `2 h 10 min`, `3 d 4 h`. */
export function duration(milliseconds: number): string {
  const ms = Math.max(0, milliseconds);
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 9_950) return `${(ms / 1_000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1_000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3_600) return joined([Math.floor(seconds / 60), "min"], [seconds % 60, "s"]);
  if (seconds < 86_400) return joined([Math.floor(seconds / 3_600), "h"], [Math.floor((seconds % 3_600) / 60), "min"]);
  return joined([Math.floor(seconds / 86_400), "d"], [Math.floor((seconds % 86_400) / 3_600), "h"]);
}

/** How long ago, in whole units: `3 s ago`. */
export function ago(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1_000));
  return seconds < 60 ? `${seconds} s ago` : `${duration(seconds * 1_000)} ago`;
}

function joined(large: readonly [number, string], small: readonly [number, string]): string {
  const first = `${large[0]} ${large[1]}`;
  return small[0] === 0 ? first : `${first} ${small[0]} ${small[1]}`;
}
