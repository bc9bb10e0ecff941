import { nearestName } from "../util/nearest-name.ts";

/**
 * ` Did you mean X?` for a name that a person mistyped, with a leading space so that it can follow
 * a sentence; empty when nothing known is close enough to be worth a guess.
 */
export function didYouMean(typed: string, known: readonly string[]): string {
  const nearest = nearestName(typed, known);
  return nearest === undefined ? "" : ` Did you mean ${nearest}?`;
}

export { nearestName } from "../util/nearest-name.ts";
