/**
 * Names that nobody else makes, without randomness: of this machine, this process, the moment at which
 * it began, and a number.
 */
import { hostname } from "node:os";

let names = 0;

/** For acquisitions, writes and whatever else has to be told apart over all processes. */
export function lifeName(): string {
  names += 1;
  return [hostname(), process.pid.toString(36), performance.timeOrigin.toString(36), names.toString(36)].join("-");
}
