/** Who makes a request, and what they may do. */
import type { Role } from "../api/operation.ts";

export interface Principal {
  /** For the audit log: the token's name, `loopback` without one, `worker:ID` for a signed worker. */
  readonly name: string;
  readonly role: Role;
  /** Workers' tokens may be limited to some pools. Absent: all. */
  readonly pools?: readonly string[];
  /** The token's id; absent without a token. */
  readonly tokenId?: string;
}
