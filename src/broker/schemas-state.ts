/** Schemas of the calls for shared state: locks, values, checkpoints. */
import * as z from "zod";
import type { Broker } from "./contract.ts";
import { MAX_CHECKPOINT, MAX_CHECKPOINTS_KEPT, MAX_LOCK_TTL_MS, MAX_PAGE, MAX_PAYLOAD, MAX_WAIT_MS } from "./limits.ts";
import { identifier, integer, MAX_DURATION_MS, MAX_IDENTIFIER, MAX_MESSAGE, strict } from "./schema-parts.ts";

type ParamsOf<M extends StateMethod> = Parameters<Broker[M]>[0];
type StateMethod =
  | "acquireLock"
  | "extendLock"
  | "releaseLock"
  | "readLock"
  | "listLocks"
  | "writeValue"
  | "readValue"
  | "deleteValue"
  | "listValues"
  | "saveCheckpoint"
  | "readCheckpoint"
  | "listCheckpoints"
  | "deleteCheckpoints";

const pageLimit = integer(1, MAX_PAGE);
const lockTtl = integer(1, MAX_LOCK_TTL_MS);
const ttl = integer(1, MAX_DURATION_MS);
const version = integer(0, Number.MAX_SAFE_INTEGER);
const checkpointVersion = integer(1, Number.MAX_SAFE_INTEGER);
const prefix = z.string().max(MAX_IDENTIFIER);
const message = z.string().max(MAX_MESSAGE);

export const STATE_SCHEMAS = {
  acquireLock: strict<ParamsOf<"acquireLock">>()({
    lock: identifier,
    owner: identifier,
    ttlMs: lockTtl,
    waitMs: z.number().min(0).max(MAX_WAIT_MS),
    note: z.exactOptional(message),
  }),
  extendLock: strict<ParamsOf<"extendLock">>()({ lock: identifier, owner: identifier, ttlMs: lockTtl }),
  releaseLock: strict<ParamsOf<"releaseLock">>()({ lock: identifier, owner: identifier }),
  readLock: strict<ParamsOf<"readLock">>()({ lock: identifier }),
  listLocks: strict<ParamsOf<"listLocks">>()({
    prefix: z.exactOptional(prefix),
    limit: pageLimit,
    after: z.exactOptional(identifier),
  }),
  writeValue: strict<ParamsOf<"writeValue">>()({
    key: identifier,
    value: z.string().max(MAX_PAYLOAD),
    ttlMs: z.nullable(ttl),
    ifVersion: z.exactOptional(version),
    writeId: z.exactOptional(identifier),
  }),
  readValue: strict<ParamsOf<"readValue">>()({ key: identifier }),
  deleteValue: strict<ParamsOf<"deleteValue">>()({ key: identifier, ifVersion: z.exactOptional(version) }),
  listValues: strict<ParamsOf<"listValues">>()({
    prefix: z.exactOptional(prefix),
    limit: pageLimit,
    after: z.exactOptional(identifier),
  }),
  saveCheckpoint: strict<ParamsOf<"saveCheckpoint">>()({
    scope: identifier,
    data: z.string().max(MAX_CHECKPOINT),
    fence: version,
    keep: integer(1, MAX_CHECKPOINTS_KEPT),
    ttlMs: ttl,
    label: z.exactOptional(message),
    saveId: z.exactOptional(identifier),
  }),
  readCheckpoint: strict<ParamsOf<"readCheckpoint">>()({
    scope: identifier,
    version: z.exactOptional(checkpointVersion),
  }),
  listCheckpoints: strict<ParamsOf<"listCheckpoints">>()({ scope: identifier }),
  deleteCheckpoints: strict<ParamsOf<"deleteCheckpoints">>()({
    scope: identifier,
    version: z.exactOptional(checkpointVersion),
    keep: z.exactOptional(integer(0, MAX_CHECKPOINTS_KEPT)),
  }),
} satisfies { readonly [M in StateMethod]: z.ZodType<ParamsOf<M>> };
