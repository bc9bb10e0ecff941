/** Who may open a socket to the host, and what they may call on it. */
import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { BrokerMethod } from "../contract.ts";

/** What one who was let in may do. */
export interface SocketRights {
  /** Throws FORBIDDEN where this call is not allowed. */
  check(method: BrokerMethod, params: unknown): void;
}

/** Says what whoever asks for a socket may do; undefined: not let in. */
export type SocketAccess = (request: IncomingMessage) => Promise<SocketRights | undefined>;

/** May call everything. */
export const ALL_RIGHTS: SocketRights = { check: () => undefined };

/** Lets in, to everything, who shows exactly this token. How long the comparison takes says nothing about where they differ. */
export function acceptToken(expected: string): SocketAccess {
  const expectedDigest = digest(expected);
  return async (request) => {
    const token = bearerToken(request.headers.authorization);
    return token !== undefined && timingSafeEqual(digest(token), expectedDigest) ? ALL_RIGHTS : undefined;
  };
}

/** The token of an `Authorization: Bearer …` header; undefined when there is none. */
export function bearerToken(header: string | undefined): string | undefined {
  return header === undefined ? undefined : /^Bearer +(\S+)$/i.exec(header)?.[1];
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
