/** Who is let in, to what, and what is written down about it. */
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import type { Operation } from "../api/operation.ts";
import type { SocketAccess } from "../broker/remote/token.ts";
import type { TokenStore } from "./access/token-store.ts";
import type { Principal } from "./principal.ts";

/** What is known of a request before its body is read. */
export interface RequestFacts {
  readonly method: string;
  /** As asked for, with its query. */
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  /** Of the caller, behind as many proxies as are trusted. */
  readonly remoteAddress: string;
}

/** One line of the audit log. */
export interface AuditEntry {
  readonly requestId: string;
  /** Absent where nobody was let in. */
  readonly principal?: Principal;
  readonly remoteAddress: string;
  /** Id of the operation, or what was asked for. */
  readonly operation: string;
  readonly params?: Readonly<Record<string, unknown>>;
  readonly status: number;
  /** Code of the error, where it failed. */
  readonly error?: string;
}

export interface Access {
  /** Whether a call needs a token, or a worker's signature. */
  readonly needsToken: boolean;
  /** Whose request it is, for RequestFacts.remoteAddress: trusted proxies are looked behind. */
  callerAddress(request: IncomingMessage): string;
  /**
   * Who makes the request; whether they may call the operation is `permit`'s to say (principal.ts).
   * Errors: TOKEN_REFUSED, FORBIDDEN for web pages of strangers, RATE_LIMITED, and those of the broker.
   */
  identify(request: RequestFacts, operation: Operation): Promise<Principal>;
  /** Writes a line about a changing call, or one that was refused. Never throws. */
  record(entry: AuditEntry): void;
  /** Who may open a WebSocket to the broker, and what they may call on it. */
  readonly sockets: SocketAccess;
  /** To make, list and revoke tokens. */
  readonly tokens: Pick<TokenStore, "create" | "list" | "revoke">;
  close(): Promise<void>;
}
