/** Folds that are not about one field's numbers: count, record, and a user's reducer. */
import { z } from "zod";
import { HoldfastError } from "../../errors/index.ts";
import { jsonFault } from "../untrusted.ts";
import type { Fold, UserReducer } from "./spec.ts";

interface Count {
  count: number;
}

const countJson = z.int().min(0);

export function countFold(): Fold<Count> {
  return {
    empty: () => ({ count: 0 }),
    add(accumulator) {
      accumulator.count += 1;
    },
    merge(into, other) {
      into.count += other.count;
    },
    finish: ({ count }) => count,
    toJson: ({ count }) => count,
    fromJson: (json) => ({ count: countJson.parse(json) }),
  };
}

export interface NamedFold {
  readonly name: string;
  readonly fold: Fold;
}

const partsJson = z.array(z.unknown());

/** Each part folds the same items; the accumulator holds theirs, in the order of the names. */
export function recordFold(parts: readonly NamedFold[]): Fold<readonly unknown[]> {
  return {
    empty: () => parts.map(({ fold }) => fold.empty()),
    add(accumulators, item) {
      for (let place = 0; place < parts.length; place += 1) parts[place]?.fold.add(accumulators[place], item);
    },
    merge(into, other) {
      for (const [place, { fold }] of parts.entries()) fold.merge(into[place], other[place]);
    },
    finish: (accumulators) =>
      Object.fromEntries(parts.map(({ name, fold }, place) => [name, fold.finish(accumulators[place])])),
    toJson: (accumulators) => parts.map(({ fold }, place) => fold.toJson(accumulators[place])),
    fromJson: (json) => {
      const read = partsJson.length(parts.length).parse(json);
      return parts.map(({ fold }, place) => fold.fromJson(read[place]));
    },
  };
}

interface UserState {
  state: unknown;
}

export function userFold(reducer: UserReducer): Fold<UserState> {
  return {
    empty: () => ({ state: reducer.init() }),
    add(accumulator, item) {
      accumulator.state = reducer.add(accumulator.state, item);
    },
    merge(into, other) {
      into.state = reducer.merge(into.state, other.state);
    },
    finish: ({ state }) => (reducer.finish === undefined ? state : reducer.finish(state)),
    toJson: ({ state }) => {
      const fault = jsonFault(state, "accumulator");
      if (fault !== undefined)
        throw new HoldfastError("INVALID_INPUT", {
          path: `reducer ${reducer.name}: ${fault.path}`,
          problem: fault.problem,
        });
      return state;
    },
    fromJson: (json) => ({ state: json }),
  };
}
