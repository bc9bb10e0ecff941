/**
 * What a token looks like: `hf_ID_SECRET`. The id is no secret: it names the token in lists and in
 * the store. Of the secret only a digest is kept; it is 256 random bits, so that a plain SHA-256 of
 * it cannot be turned back by trying.
 */
import { createHash } from "node:crypto";

/** Least length of a secret in base64url: 192 bits. */
const TOKEN = /^hf_([0-9a-z-]{1,64})_([\w-]{32,128})$/;

export interface TokenParts {
  readonly id: string;
  readonly secret: string;
}

export function tokenText({ id, secret }: TokenParts): string {
  return `hf_${id}_${secret}`;
}

/** Undefined for what is no token of ours. */
export function parseToken(text: string): TokenParts | undefined {
  const [, id, secret] = TOKEN.exec(text) ?? [];
  return id === undefined || secret === undefined ? undefined : { id, secret };
}

export function digestOf(secret: string): Buffer {
  return createHash("sha256").update(secret).digest();
}
