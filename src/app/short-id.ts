import { randomBytes } from "node:crypto";

/** Crockford's base 32 in lower case: no letters that are taken for digits. */
const DIGITS = "0123456789abcdefghjkmnpqrstvwxyz";
const LENGTH = 12;

/** A random id of 60 bits that a person can read out: `k7m2q9xw4t3v`. */
export function shortId(): string {
  let id = "";
  for (const byte of randomBytes(LENGTH)) id += DIGITS[byte & 31];
  return id;
}
