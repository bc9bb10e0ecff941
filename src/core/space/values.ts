/** Spaces whose points are single values: range, linspace, logspace, list. */
import { copyJson, jsonFault } from "../untrusted.ts";
import { invalid } from "./invalid.ts";
import type { CompiledSpace, LinspaceSpec, ListSpec, LogspaceSpec, RangeSpec } from "./spec.ts";
import { MAX_POINTS } from "./spec.ts";

/** Logarithmic points are tabulated up to this many: rounding one takes about as long as a small task. */
const MAX_TABLE = 4_096;

export function compileRange(spec: RangeSpec, path: string): CompiledSpace {
  const { start, step } = spec;
  const length = rangeLength(spec, path);
  const last = start + (length - 1) * step;
  if (length > 1 && (start + step === start || last - step === last)) {
    throw invalid(`${path}.step`, `${step} is too small to tell neighbouring points near ${last} apart`);
  }
  return { length, at: (index) => start + index * step };
}

/**
 * Points before `stop`. Whole numbers are counted exactly. Otherwise the quotient is taken for a
 * whole number when it is one within the rounding errors of its three terms, so that 0 to 1 by 0.1
 * has ten points and 1 to 1.3 by 0.1 has three, as anybody would count them.
 */
function rangeLength({ start, stop, step }: RangeSpec, path: string): number {
  if (step === 0) throw invalid(`${path}.step`, "is 0; expected a step that leads from start to stop");
  if (start === stop || stop > start !== step > 0) {
    const turned = start === stop ? "" : `; use step ${-step}`;
    throw invalid(
      path,
      `has no points: step ${step} does not lead from ${start} to ${stop} (which is excluded)${turned}`,
    );
  }
  const length = [start, stop, step].every(Number.isSafeInteger)
    ? wholeQuotient(start, stop, step)
    : roundedQuotient(start, stop, step);
  if (!(length <= MAX_POINTS)) throw invalid(path, `has more than ${MAX_POINTS} points`);
  return length;
}

function wholeQuotient(start: number, stop: number, step: number): number {
  const distance = BigInt(stop) - BigInt(start);
  const stride = BigInt(step);
  return Number(distance / stride + (distance % stride === 0n ? 0n : 1n));
}

function roundedQuotient(start: number, stop: number, step: number): number {
  const quotient = stop / step - start / step;
  const magnitude = Math.abs(stop / step) + Math.abs(start / step);
  const nearest = Math.round(quotient);
  const rounding = 4 * Number.EPSILON * magnitude;
  return Math.max(1, Math.abs(quotient - nearest) <= rounding ? nearest : Math.ceil(quotient));
}

export function compileLinspace(spec: LinspaceSpec, path: string): CompiledSpace {
  const { start, stop, count } = spec;
  const gaps = count - 1;
  const span = stop - start;
  if (!Number.isFinite(span * gaps)) throw invalid(path, `from ${start} to ${stop} is further than a number can count`);
  // Multiplying before dividing makes 0 to 100 in 101 steps the whole numbers themselves.
  return {
    length: count,
    at: (index) => (index === gaps && gaps > 0 ? stop : start + (gaps === 0 ? 0 : (index * span) / gaps)),
  };
}

export function compileLogspace(spec: LogspaceSpec, path: string): CompiledSpace {
  const { start, stop, count } = spec;
  for (const [field, value] of Object.entries({ start, stop })) {
    if (value <= 0)
      throw invalid(`${path}.${field}`, `is ${value}; expected a positive number (the value itself, not its exponent)`);
  }
  const from = Math.log(start);
  const span = Math.log(stop) - from;
  const gaps = count - 1;
  // Fifteen digits are what exp() is sure of; they turn 0.0010000000000000002 into 0.001.
  const point = (index: number): number => {
    if (index === 0) return start;
    return index === gaps ? stop : Number(Math.exp(from + (index * span) / gaps).toPrecision(15));
  };
  if (count > MAX_TABLE) return { length: count, at: point };
  let table: Float64Array | undefined;
  return {
    length: count,
    at: (index) => (table ??= Float64Array.from({ length: count }, (_, place) => point(place)))[index],
  };
}

export function compileList(spec: ListSpec, path: string): CompiledSpace {
  return { length: spec.values.length, at: pick(spec.values, path) };
}

/** Value by index, a copy where the value could be changed by whoever gets it. */
export function pick(values: readonly unknown[], path: string): (index: number) => unknown {
  const valuesPath = `${path}.values`;
  if (values.length === 0) throw invalid(valuesPath, "is empty; expected at least one value");
  const fault = jsonFault(values, valuesPath);
  if (fault !== undefined) throw invalid(fault.path, fault.problem);
  return values.some((value) => typeof value === "object" && value !== null)
    ? (index) => copyJson(values[index])
    : (index) => values[index];
}
