/** Bounds of the contract (promise 9). The same on every broker. */

/** One input, result, handler, source or meta, UTF-16 code units of its JSON text. Larger data belong into artifacts. */
export const MAX_PAYLOAD = 1_048_576;
/** Texts of one page of results, or of the leases of one claim, in sum: the row or lease that reaches it is the last one. */
export const MAX_REPLY_PAYLOAD = 16 * MAX_PAYLOAD;
/** Inputs in one submit or extend call. */
export const MAX_TASKS_PER_CALL = 20_000;
/** Submissions in one submit call. */
export const MAX_SUBMISSIONS_PER_CALL = 1_000;
/** Separate tasks of one execution; an array counts as one. */
export const MAX_TASKS_PER_EXECUTION = 16_777_215;
/** Items of one array. */
export const MAX_ARRAY_LENGTH = Number.MAX_SAFE_INTEGER;
/** Leases of one claim; outcomes of one commit. */
export const MAX_BATCH = 1_000;
/** Leases named in one reconcile call. */
export const MAX_HELD = 100_000;
/** Items of one chunk. */
export const MAX_CHUNK_ITEMS = 100_000;
/** Longest wait of a claim or a read, milliseconds. */
export const MAX_WAIT_MS = 30_000;
/** Rows of one page. */
export const MAX_PAGE = 1_000;
/** Captured stdout and stderr, each, per attempt. */
export const MAX_OUTPUT_BYTES = 65_536;
/** Disagreements kept per execution. */
export const MAX_DISAGREEMENTS = 100;
/** Parents named in one answer to why a task waits. */
export const MAX_PARENTS_TOLD = 20;
/** One checkpoint, UTF-16 code units of its JSON text. */
export const MAX_CHECKPOINT = 8 * MAX_PAYLOAD;
/** Checkpoints kept per scope, at most. */
export const MAX_CHECKPOINTS_KEPT = 100;
/** Longest life of a lock between two extensions: a day. */
export const MAX_LOCK_TTL_MS = 86_400_000;
/** Who stands in line for a lock keeps the place this long between two questions. */
export const LINE_PATIENCE_MS = 2_000;
/** Owners in line for one lock. */
export const MAX_LINE = 10_000;
/** A write or save that names itself is known again this long, so that a repeat of it changes nothing. */
export const WRITE_MEMORY_MS = 300_000;
/** Dead letters that one call over HTTP replays or discards. */
export const MAX_LETTERS_PER_CALL = 10_000;
/** Names of locks and values, and scopes of checkpoints, that begin so belong to the servers. */
export const RESERVED_PREFIX = "holdfast:";
/** Attempts kept per execution for listAttempts; older ones go first. */
export const MAX_ATTEMPTS_KEPT = 1_000;
/** Signals of one execution. */
export const MAX_SIGNALS = 10_000;
/** The most that the limits of a pool may say. */
export const MAX_POOL_WORKERS = 1_000_000;
/** A task that would add tasks to an execution that is not sealed yet is put off for so long. */
export const OPEN_AGAIN_MS = 250;
/** Edits of one call. */
export const MAX_EDITS = 1_000;
/** Tasks named in what an edit changes; the rest is counted. */
export const MAX_CHANGES_TOLD = 100;
/** Edits of an execution that are known again when they are sent again: the last ones. */
export const MAX_EDITS_KNOWN = 10;
