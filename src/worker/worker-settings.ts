/** What a worker may be told. Milliseconds unless the name says otherwise. */
export interface WorkerSettings {
  /** Leases claimed beyond the slots at most. How many of them are used depends on how long attempts take. */
  readonly prefetch: number;
  /** Leave after this long without any work. Absent: never. */
  readonly idleExitMs: number | undefined;
  /** From the abort of an attempt to the kill of its process. */
  readonly graceMs: number;
  /** For tasks that name no limit of their own. Absent: none. */
  readonly memoryLimitMb: number | undefined;
  /** File URL of the module whose tasks run jobs that were submitted by their type. Absent: such jobs fail here. */
  readonly jobsModule: string | undefined;
  /** What runs may take this long after a drain began; then it is killed and handed back. */
  readonly drainMs: number;
  /** From the spawn of a runner to its first sign of life. */
  readonly runnerStartTimeoutMs: number;
  /** Attempts after which a runner is replaced by a fresh one. */
  readonly runnerMaxAttempts: number;
  /** An idle claim waits this long at the broker. */
  readonly claimWaitMs: number;
  /** Silence of the broker after which the worker gives up. */
  readonly brokerPatienceMs: number;
  /** Outcomes, and characters of them, that may wait to be committed before claiming stops. */
  readonly maxUnsentOutcomes: number;
  readonly maxUnsentLength: number;
}

export const DEFAULT_WORKER_SETTINGS: WorkerSettings = {
  prefetch: 256,
  idleExitMs: undefined,
  graceMs: 5_000,
  memoryLimitMb: undefined,
  jobsModule: undefined,
  drainMs: 30_000,
  runnerStartTimeoutMs: 30_000,
  runnerMaxAttempts: 100_000,
  claimWaitMs: 20_000,
  brokerPatienceMs: 60_000,
  maxUnsentOutcomes: 5_000,
  maxUnsentLength: 64 * 1_048_576,
};

/** What may be given; `undefined` counts as not given. */
export type GivenWorkerSettings = { readonly [Name in keyof WorkerSettings]?: WorkerSettings[Name] | undefined };

/** The defaults, overridden by what is given. */
export function completeSettings(given: GivenWorkerSettings): WorkerSettings {
  const told = Object.entries(given).filter(([, value]) => value !== undefined);
  return Object.freeze({ ...DEFAULT_WORKER_SETTINGS, ...(Object.fromEntries(told) as Partial<WorkerSettings>) });
}
