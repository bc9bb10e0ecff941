/**
 * State that tasks and programs share: locks, values and checkpoints. It belongs to the broker and to
 * no execution; names are the users' own, and those that begin with RESERVED_PREFIX the servers'.
 */

export interface AcquireLockParams {
  readonly lock: string;
  /**
   * Names one acquisition, not a program: nobody else may use the same. The same owner asking again
   * is the same acquisition: it is told the same token and has the lock for `ttlMs` from now, not
   * shorter than before; or it keeps its place in the line.
   */
  readonly owner: string;
  /** The lock is free again this long from now unless it is extended, milliseconds. */
  readonly ttlMs: number;
  /**
   * Stand in line this long, at most MAX_WAIT_MS. Locks are given in the order in which owners came;
   * who asks again within LINE_PATIENCE_MS after an answer keeps the place, and for that long a free
   * lock waits for the first in line. 0: do not stand in line.
   */
  readonly waitMs: number;
  /** For those who inspect the lock: who this is and what it is doing. */
  readonly note?: string;
}

export interface AcquireLockReply {
  /** Absent: the lock is another's. */
  readonly grant?: LockGrant;
  /** Who holds it, as far as it is not the caller and somebody does. */
  readonly holder?: LockView;
  /** Owners in line before the caller; 0 for whoever holds it or is next. */
  readonly ahead: number;
  /** The owner's place in line was given back (releaseLock) while this call waited. */
  readonly gaveUp?: true;
}

export interface LockGrant {
  /** The fencing token: higher for every later grant of the store, whatever the lock. */
  readonly token: number;
  readonly expiresAt: number;
}

export interface LockView extends LockGrant {
  readonly lock: string;
  readonly owner: string;
  readonly acquiredAt: number;
  readonly note?: string;
  /** Owners in line. */
  readonly waiting: number;
}

export interface ExtendLockParams {
  readonly lock: string;
  readonly owner: string;
  /** The lock lives at least this long from now; never shorter than before. */
  readonly ttlMs: number;
}

export interface ReleaseLockParams {
  readonly lock: string;
  readonly owner: string;
}

export interface ListLocksParams {
  /** Locks whose name starts with this. */
  readonly prefix?: string;
  readonly limit: number;
  /** Locks with a name after this one, by code units. */
  readonly after?: string;
}

export interface ListLocksReply {
  readonly locks: readonly LockView[];
  /** Pass as `after` for the next page; absent on the last page. */
  readonly next?: string;
}

export interface WriteValueParams {
  readonly key: string;
  /** JSON text. */
  readonly value: string;
  /** Gone this long from now; null: never. */
  readonly ttlMs: number | null;
  /** Only if this is the version that is there; 0: only if there is none. Absent: whatever is there. */
  readonly ifVersion?: number;
  /** Names this write of the key. Within WRITE_MEMORY_MS the same again is answered as the first time, and changes nothing. */
  readonly writeId?: string;
}

export interface ValueView {
  readonly key: string;
  /** JSON text. */
  readonly value: string;
  /** Ascending with every write of the key, also over a deletion. */
  readonly version: number;
  readonly updatedAt: number;
  /** Absent: never. */
  readonly expiresAt?: number;
}

export interface ListValuesParams {
  /** Keys that start with this. */
  readonly prefix?: string;
  /** Fewer when their texts reach MAX_REPLY_PAYLOAD. */
  readonly limit: number;
  /** Keys after this one, by code units. */
  readonly after?: string;
}

export interface ListValuesReply {
  readonly values: readonly ValueView[];
  /** Pass as `after` for the next page; absent on the last page. */
  readonly next?: string;
}

export interface DeleteValueParams {
  readonly key: string;
  /** Only if this is the version that is there. Where there is none, nothing is deleted. */
  readonly ifVersion?: number;
}

export interface SaveCheckpointParams {
  /** What the checkpoint is of: `EXECUTION/TASK` for a task's own, or any name. */
  readonly scope: string;
  /** JSON text, at most MAX_CHECKPOINT. */
  readonly data: string;
  /**
   * Ascending per life of whoever saves: a task's attempt. A save below the highest of its scope is
   * refused: it comes from somebody who has been replaced. Deleting checkpoints does not lower it.
   */
  readonly fence: number;
  /** Keep this many of the scope, the newest ones. */
  readonly keep: number;
  /** The scope is gone this long after its last save, and its fence and its versions with it. */
  readonly ttlMs: number;
  readonly label?: string;
  /** Names this save of the scope. Within WRITE_MEMORY_MS the same again is answered as the first time, and changes nothing. */
  readonly saveId?: string;
}

export interface CheckpointInfo {
  readonly scope: string;
  /** 1, 2, 3 … within the scope. */
  readonly version: number;
  readonly fence: number;
  /** UTF-16 code units of its data. */
  readonly size: number;
  readonly savedAt: number;
  readonly label?: string;
}

export interface CheckpointView extends CheckpointInfo {
  /** JSON text. */
  readonly data: string;
}

export interface ListCheckpointsParams {
  readonly scope: string;
}

export interface ReadCheckpointParams {
  readonly scope: string;
  /** Absent: the newest. */
  readonly version?: number;
}

export interface DeleteCheckpointsParams {
  readonly scope: string;
  /** This one only. With neither this nor `keep`: all of the scope. */
  readonly version?: number;
  /** All but this many, the newest ones. Not together with `version`. */
  readonly keep?: number;
}
