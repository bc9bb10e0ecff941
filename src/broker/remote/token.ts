import { createHash, timingSafeEqual } from "node:crypto";

/** Says whether a token is good. */
export type TokenCheck = (token: string) => boolean | Promise<boolean>;

/** Accepts exactly this token. How long the comparison takes says nothing about where they differ. */
export function acceptToken(expected: string): TokenCheck {
  const expectedDigest = digest(expected);
  return (token) => timingSafeEqual(digest(token), expectedDigest);
}

/** The token of an `Authorization: Bearer …` header; undefined when there is none. */
export function bearerToken(header: string | undefined): string | undefined {
  return header === undefined ? undefined : /^Bearer +(\S+)$/i.exec(header)?.[1];
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
