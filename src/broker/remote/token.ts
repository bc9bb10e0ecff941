/** Who may open a socket to the host, and what they may call on it. */
import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { HoldfastError } from "../../errors/index.ts";
import type { BrokerMethod } from "../contract.ts";

/** What one who was let in may do. */
export interface SocketRights {
  /** Whose rights these are. A stream goes on, and a session is used, by its own owner only. */
  readonly owner: string;
  /** Names of the servers' own state, and ids of others' sessions, are shown, and such a session may be used. */
  readonly seesAll: boolean;
  /** Throws FORBIDDEN or NAME_RESERVED where this call is not allowed. */
  check(method: BrokerMethod, params: unknown): void;
  /** Whether they hold still; asked again and again while a socket is open. Absent: they always do. */
  stillHold?(): Promise<boolean>;
  /** Told of every call that changes something, with the error where it failed. Absent: nobody wants to know. */
  note?(call: SocketCall): void;
}

export interface SocketCall {
  readonly method: BrokerMethod;
  readonly params: unknown;
  readonly error?: HoldfastError;
}

/**
 * Says what whoever asks for a socket may do; undefined: not let in. Throws a HoldfastError to
 * refuse with its status.
 */
export type SocketAccess = (request: IncomingMessage) => Promise<SocketRights | undefined>;

/** May call everything. */
export const ALL_RIGHTS: SocketRights = { owner: "all", seesAll: true, check: () => undefined };

/** Lets in, to everything, who shows exactly this token. How long the comparison takes says nothing about where they differ. */
export function acceptToken(expected: string): SocketAccess {
  const isExpected = tokenComparison(expected);
  return async ({ headers }) => {
    const token = bearerToken(headers.authorization);
    return token !== undefined && isExpected(token) ? ALL_RIGHTS : undefined;
  };
}

/** Compares texts with a secret in a time that does not depend on where they differ. */
export function tokenComparison(expected: string): (given: string) => boolean {
  const expectedDigest = digest(expected);
  return (given) => timingSafeEqual(digest(given), expectedDigest);
}

/** The token of an `Authorization: Bearer …` header; undefined when there is none. */
export function bearerToken(header: string | undefined): string | undefined {
  return header === undefined ? undefined : /^Bearer +(\S+)$/i.exec(header)?.[1];
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
