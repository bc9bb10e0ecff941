/** Behaviour of a broker that its owner may set. Milliseconds unless the name says otherwise. */
export interface BrokerSettings {
  /** Workers are asked to show life this often. */
  readonly heartbeatMs: number;
  /** A session that was silent for this long is dead. */
  readonly deadAfterMs: number;
  /** Waiting this long is worth one step of priority, so that nothing waits for ever. */
  readonly ageingMs: number;
  /** How long an ended execution is kept when its submission does not say. */
  readonly retentionMs: number;
  /** Separate tasks that may wait in one pool; an array counts as one. */
  readonly maxQueueDepth: number;
  /** A worker has this long to report a timeout before the coordinator judges in its place. */
  readonly overdueGraceMs: number;
  /** A replica that no second worker can run is given up after this long. */
  readonly verificationPatienceMs: number;
}

export const DEFAULT_BROKER_SETTINGS: BrokerSettings = {
  heartbeatMs: 1_000,
  deadAfterMs: 5_000,
  ageingMs: 30_000,
  retentionMs: 7 * 24 * 3_600_000,
  maxQueueDepth: 5_000_000,
  overdueGraceMs: 5_000,
  verificationPatienceMs: 10_000,
};
