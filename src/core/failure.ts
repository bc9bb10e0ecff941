/** Why an attempt did not complete. The class decides whether and how it is retried (see retry.ts). */
export const FAILURE_CLASSES = [
  "user-error",
  "timeout",
  "out-of-memory",
  "worker-lost",
  "network",
  "gpu",
  "invalid-input",
  "unknown",
] as const;

export type FailureClass = (typeof FAILURE_CLASSES)[number];

/** A failure as it travels and is stored: plain, bounded, printable. */
export interface Failure {
  readonly class: FailureClass;
  /** One sentence for a person, at most MAX_FAILURE_MESSAGE characters. */
  readonly message: string;
  /** Name of the error's class or a stable code, when there is one: `TypeError`, `ENOENT`. */
  readonly code?: string;
  /** Stack trace of the user's code, at most MAX_FAILURE_STACK characters. */
  readonly stack?: string;
}

export const MAX_FAILURE_MESSAGE = 2_000;
export const MAX_FAILURE_STACK = 8_000;
