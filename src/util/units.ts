/**
 * Durations and sizes as people write them: "30s", "1.5 h", "512MB".
 *
 * A bare number is taken in the unit that the caller names (milliseconds, megabytes); a text must
 * carry its unit, because "30" alone has been read as seconds by one person and milliseconds by the
 * next.
 */
import { HoldfastError } from "../errors/index.ts";

type DurationUnit = "ms" | "s" | "m" | "h" | "d";
type SizeUnit = "KB" | "MB" | "GB" | "TB";

/** Milliseconds as a number, or a text such as "250ms", "30s", "5m", "2h", "7d". */
export type Duration = number | `${number}${DurationUnit}`;
/** Megabytes as a number, or a text such as "512MB" or "2GB". 1 KB is 1,024 bytes, 1 MB 1,024 KB. */
export type Size = number | `${number}${SizeUnit}`;

const MS_PER_UNIT: ReadonlyMap<string, number> = new Map([
  ["ms", 1],
  ["s", 1_000],
  ["m", 60_000],
  ["h", 3_600_000],
  ["d", 86_400_000],
]);

const BYTES_PER_MB = 1_048_576;
const BYTES_PER_UNIT: ReadonlyMap<string, number> = new Map([
  ["KB", 1_024],
  ["MB", BYTES_PER_MB],
  ["GB", 1_024 * BYTES_PER_MB],
  ["TB", 1_024 * 1_024 * BYTES_PER_MB],
]);

/** Longest duration taken: a hundred years. More is a slip of the unit. */
const MAX_DURATION_MS = 100 * 365.25 * 86_400_000;
const MAX_SIZE_BYTES = 2 ** 50;

/**
 * Milliseconds of a duration, rounded to whole ones. Zero is allowed.
 *
 * @param what names the setting in the error: "timeout of task fit", "--timeout".
 * @throws HoldfastError INVALID_OPTION for a missing or unknown unit, a negative or an absurd value.
 * @example parseDurationMs("1.5m", "timeout") // 90000
 */
export function parseDurationMs(value: string | number, what: string): number {
  const expected = 'a duration such as "250ms", "30s", "5m", "2h" or "7d", or a number of milliseconds';
  const ms = typeof value === "number" ? value : inUnits(value, MS_PER_UNIT, (unit) => unit.toLowerCase());
  if (ms === undefined || !(ms >= 0 && ms <= MAX_DURATION_MS)) throw refuse(what, value, expected);
  return Math.round(ms);
}

/**
 * Bytes of a size. A bare number counts megabytes.
 *
 * @throws HoldfastError INVALID_OPTION for a missing or unknown unit, a negative or an absurd value.
 * @example parseSizeBytes("512MB", "memoryLimit") // 536870912
 */
export function parseSizeBytes(value: string | number, what: string): number {
  const expected = 'a size such as "64MB" or "2GB", or a number of megabytes';
  const bytes =
    typeof value === "number"
      ? value * BYTES_PER_MB
      : inUnits(value, BYTES_PER_UNIT, (unit) => unit.toUpperCase().replace("IB", "B"));
  if (bytes === undefined || !(bytes >= 0 && bytes <= MAX_SIZE_BYTES)) throw refuse(what, value, expected);
  return Math.round(bytes);
}

/** Whole megabytes of a size, rounded up so that a small limit never becomes none. */
export function parseSizeMb(value: string | number, what: string): number {
  return Math.ceil(parseSizeBytes(value, what) / BYTES_PER_MB);
}

function inUnits(
  text: string,
  units: ReadonlyMap<string, number>,
  normalise: (unit: string) => string,
): number | undefined {
  const found = /^\s*(\d+(?:\.\d+)?|\.\d+)\s*([a-z]+)\s*$/i.exec(text);
  const amount = found?.[1];
  const unit = found?.[2];
  if (amount === undefined || unit === undefined) return undefined;
  const factor = units.get(normalise(unit));
  return factor === undefined ? undefined : Number(amount) * factor;
}

function refuse(option: string, value: string | number, expected: string): HoldfastError {
  const shown = typeof value === "string" ? JSON.stringify(value) : String(value);
  return new HoldfastError("INVALID_OPTION", { option, value: shown, expected });
}
