/** Shared state: values, locks and checkpoints. Names are the users' own; one with a slash is percent-encoded in a path. */
import * as z from "zod";
import { MAX_CHECKPOINT, MAX_CHECKPOINTS_KEPT, MAX_LOCK_TTL_MS, MAX_PAGE, MAX_PAYLOAD } from "../../broker/limits.ts";
import { identifier, integer, MAX_DURATION_MS, MAX_IDENTIFIER, MAX_MESSAGE } from "../../broker/schema-parts.ts";
import { defineOperations } from "../operation.ts";
import { cursor, integerText, pageLimit, waitDuration } from "../request-parts.ts";

/** Values and checkpoints are kept this long unless a call says otherwise: 7 days. */
const DEFAULT_STATE_TTL_MS = 604_800_000;
const DEFAULT_LOCK_TTL_MS = 30_000;
const DEFAULT_CHECKPOINTS_KEPT = 5;
/** UTF-8 bytes of a body around the text that it carries. */
const BODY_ROOM = 65_536;

const READERS = ["read", "submit", "worker"] as const;
const WRITERS = ["submit", "worker"] as const;

const success = z.literal(true);
const timestamp = z.number();
const version = integer(0, Number.MAX_SAFE_INTEGER);
const message = z.string().max(MAX_MESSAGE);
const keyParams = z.strictObject({ key: identifier });
const lockParams = z.strictObject({ lock: identifier });
const scopeParams = z.strictObject({ scope: identifier });
const checkpointParams = z.strictObject({ scope: identifier, version: integerText(1, Number.MAX_SAFE_INTEGER) });
const listQuery = z.strictObject({
  prefix: z.exactOptional(z.string().max(MAX_IDENTIFIER)),
  limit: pageLimit(MAX_PAGE).prefault("100"),
  cursor: z.exactOptional(cursor),
});
const lockTtl = integer(1, MAX_LOCK_TTL_MS);
const ttl = integer(1, MAX_DURATION_MS);

const valueView = {
  key: z.string(),
  version: version.describe("Ascends with every write of the key, also over a deletion."),
  updatedAt: timestamp,
  expiresAt: timestamp.optional().describe("Absent: never."),
  value: z.unknown(),
};

const lockView = z.strictObject({
  lock: z.string(),
  owner: z.string(),
  token: count().describe(
    "Higher for every later grant: what a lock protects can refuse whoever comes with a lower one.",
  ),
  acquiredAt: timestamp,
  expiresAt: timestamp,
  note: z.string().optional(),
  waiting: count().describe("Owners in line."),
});

const grant = z.strictObject({
  success,
  lock: z.string(),
  owner: z.string(),
  token: count(),
  expiresAt: timestamp,
});

const checkpointInfo = {
  scope: z.string(),
  version,
  fence: count(),
  size: count().describe("UTF-16 code units of its JSON text."),
  savedAt: timestamp,
  label: z.string().optional(),
};

function count(): z.ZodInt {
  return integer(0, Number.MAX_SAFE_INTEGER);
}

const VALUE_OPERATIONS = defineOperations({
  getValue: {
    method: "GET",
    path: "/state/values/{key}",
    tag: "state",
    summary: "Reads a value.",
    description: "The ETag is its version.",
    callers: READERS,
    changes: false,
    params: keyParams,
    reply: z.strictObject({ success, ...valueView }),
    errors: ["VALUE_NOT_FOUND", "NAME_RESERVED"],
  },
  putValue: {
    method: "PUT",
    path: "/state/values/{key}",
    tag: "state",
    summary: "Writes a value, or only over the version that the caller has seen.",
    description:
      "`ifVersion` (or If-Match with an ETag) writes only over that version, 0 (or If-None-Match: *) only where there is none. With a `writeId` the same write may be sent again.",
    callers: WRITERS,
    changes: true,
    params: keyParams,
    body: z.strictObject({
      value: z.unknown(),
      ttlMs: ttl.nullable().default(DEFAULT_STATE_TTL_MS).describe("null: for ever."),
      ifVersion: z.exactOptional(version),
      writeId: z.exactOptional(identifier),
    }),
    bodyLimit: 3 * MAX_PAYLOAD + BODY_ROOM,
    reply: z.strictObject({ success, key: z.string(), version, expiresAt: timestamp.optional() }),
    errors: ["VERSION_CONFLICT", "PAYLOAD_TOO_LARGE", "STORE_FULL", "NAME_RESERVED"],
  },
  deleteValue: {
    method: "DELETE",
    path: "/state/values/{key}",
    tag: "state",
    summary: "Deletes a value, or only the version that the caller has seen.",
    callers: WRITERS,
    changes: true,
    params: keyParams,
    query: z.strictObject({ ifVersion: z.exactOptional(integerText(0, Number.MAX_SAFE_INTEGER)) }),
    reply: z.strictObject({ success, deleted: z.boolean() }),
    errors: ["VERSION_CONFLICT", "NAME_RESERVED"],
  },
  listValues: {
    method: "GET",
    path: "/state/values",
    tag: "state",
    summary: "Lists values by key.",
    callers: READERS,
    changes: false,
    query: listQuery,
    reply: z.strictObject({ success, values: z.array(z.strictObject(valueView)), next: z.string().optional() }),
    errors: ["NAME_RESERVED"],
  },
});

const LOCK_OPERATIONS = defineOperations({
  acquireLock: {
    method: "POST",
    path: "/state/locks/{lock}/acquire",
    tag: "state",
    summary: "Takes a lock, or stands in line for it.",
    description:
      "`owner` names one acquisition; whoever asks again with the same keeps the lock, or the place in line. Without one the server makes it: it is in the answer, also where the lock was not got.",
    callers: WRITERS,
    changes: true,
    params: lockParams,
    body: z
      .strictObject({
        owner: z.exactOptional(identifier),
        ttlMs: lockTtl.default(DEFAULT_LOCK_TTL_MS),
        wait: waitDuration.prefault("0s"),
        note: z.exactOptional(message),
      })
      .prefault({}),
    reply: grant,
    errors: ["LOCK_TAKEN", "NAME_RESERVED"],
  },
  extendLock: {
    method: "POST",
    path: "/state/locks/{lock}/extend",
    tag: "state",
    summary: "Keeps a lock for at least this long from now.",
    callers: WRITERS,
    changes: true,
    params: lockParams,
    body: z.strictObject({ owner: identifier, ttlMs: lockTtl.default(DEFAULT_LOCK_TTL_MS) }),
    reply: grant,
    errors: ["LOCK_LOST", "NAME_RESERVED"],
  },
  releaseLock: {
    method: "POST",
    path: "/state/locks/{lock}/release",
    tag: "state",
    summary: "Gives a lock, or the place in its line, back.",
    callers: WRITERS,
    changes: true,
    params: lockParams,
    body: z.strictObject({ owner: identifier }),
    reply: z.strictObject({ success, released: z.boolean() }).describe("False when the owner had neither (any more)."),
    errors: ["NAME_RESERVED"],
  },
  getLock: {
    method: "GET",
    path: "/state/locks/{lock}",
    tag: "state",
    summary: "Shows who holds a lock.",
    callers: READERS,
    changes: false,
    params: lockParams,
    reply: z.strictObject({ success, lock: lockView }),
    errors: ["LOCK_NOT_HELD", "NAME_RESERVED"],
  },
  listLocks: {
    method: "GET",
    path: "/state/locks",
    tag: "state",
    summary: "Lists the locks that somebody holds.",
    callers: READERS,
    changes: false,
    query: listQuery,
    reply: z.strictObject({ success, locks: z.array(lockView), next: z.string().optional() }),
    errors: ["NAME_RESERVED"],
  },
});

const CHECKPOINT_OPERATIONS = defineOperations({
  saveCheckpoint: {
    method: "POST",
    path: "/state/checkpoints/{scope}",
    tag: "state",
    summary: "Saves a checkpoint; older ones than the last `keep` go.",
    description: "A task's own scope is `EXECUTION/TASK`; its fence is the attempt.",
    callers: WRITERS,
    changes: true,
    params: scopeParams,
    body: z.strictObject({
      data: z.unknown(),
      fence: version
        .default(0)
        .describe("Ascending per life of whoever saves; a save below the highest of its scope is refused."),
      keep: integer(1, MAX_CHECKPOINTS_KEPT).default(DEFAULT_CHECKPOINTS_KEPT),
      ttlMs: ttl.default(DEFAULT_STATE_TTL_MS),
      label: z.exactOptional(message),
      saveId: z.exactOptional(identifier),
    }),
    bodyLimit: 3 * MAX_CHECKPOINT + BODY_ROOM,
    reply: z.strictObject({ success, scope: z.string(), version }),
    errors: ["CHECKPOINT_FENCED", "PAYLOAD_TOO_LARGE", "STORE_FULL", "NAME_RESERVED"],
  },
  listCheckpoints: {
    method: "GET",
    path: "/state/checkpoints/{scope}",
    tag: "state",
    summary: "Lists the checkpoints of a scope, newest first.",
    callers: READERS,
    changes: false,
    params: scopeParams,
    reply: z.strictObject({ success, scope: z.string(), checkpoints: z.array(z.strictObject(checkpointInfo)) }),
    errors: ["NAME_RESERVED"],
  },
  getLatestCheckpoint: {
    method: "GET",
    path: "/state/checkpoints/{scope}/latest",
    tag: "state",
    summary: "Reads the newest checkpoint of a scope.",
    callers: READERS,
    changes: false,
    params: scopeParams,
    reply: z.strictObject({ success, ...checkpointInfo, data: z.unknown() }),
    errors: ["CHECKPOINT_NOT_FOUND", "NAME_RESERVED"],
  },
  getCheckpoint: {
    method: "GET",
    path: "/state/checkpoints/{scope}/{version}",
    tag: "state",
    summary: "Reads one checkpoint.",
    callers: READERS,
    changes: false,
    params: checkpointParams,
    reply: z.strictObject({ success, ...checkpointInfo, data: z.unknown() }),
    errors: ["CHECKPOINT_NOT_FOUND", "NAME_RESERVED"],
  },
  deleteCheckpoint: {
    method: "DELETE",
    path: "/state/checkpoints/{scope}/{version}",
    tag: "state",
    summary: "Deletes one checkpoint.",
    callers: WRITERS,
    changes: true,
    params: checkpointParams,
    reply: z.strictObject({ success, deleted: count() }),
    errors: ["NAME_RESERVED"],
  },
  deleteCheckpoints: {
    method: "DELETE",
    path: "/state/checkpoints/{scope}",
    tag: "state",
    summary: "Deletes all checkpoints of a scope.",
    callers: WRITERS,
    changes: true,
    params: scopeParams,
    reply: z.strictObject({ success, deleted: count() }),
    errors: ["NAME_RESERVED"],
  },
  pruneCheckpoints: {
    method: "POST",
    path: "/state/checkpoints/{scope}/prune",
    tag: "state",
    summary: "Deletes all checkpoints of a scope but the newest ones.",
    callers: WRITERS,
    changes: true,
    params: scopeParams,
    body: z.strictObject({ keep: integer(0, MAX_CHECKPOINTS_KEPT).default(DEFAULT_CHECKPOINTS_KEPT) }).prefault({}),
    reply: z.strictObject({ success, deleted: count() }),
    errors: ["NAME_RESERVED"],
  },
});

export const STATE_OPERATIONS = defineOperations({
  ...VALUE_OPERATIONS,
  ...LOCK_OPERATIONS,
  ...CHECKPOINT_OPERATIONS,
});
