/** What the coordinator asks of a broker. */

export interface LeadParams {
  /** Name of the lease, one per duty list. */
  readonly lease: string;
  readonly holder: string;
  readonly ttlMs: number;
}

export interface LeadReply {
  readonly leader: boolean;
  /** Grows with every change of leader. */
  readonly term: number;
}

export interface DutyParams {
  /** Most entries to handle in this call. */
  readonly limit: number;
}

export interface DutyReply {
  readonly handled: number;
  /** More is waiting already. */
  readonly more: boolean;
  /** When the next entry falls due, on the broker's clock, if known. */
  readonly nextAt?: number;
}
