/** Handlers of shared state: values, locks, checkpoints. */
import type { STATE_OPERATIONS } from "../../api/operations/state.ts";
import type { ListValuesParams, ValueView } from "../../broker/contract.ts";
import { HoldfastError } from "../../errors/index.ts";
import { type Call, type HandlersOf, RawReply, type ServerParts } from "../handler.ts";
import { textOf } from "../json-text.ts";
import { acquireForCaller } from "../lock-wait.ts";
import { JsonText, printJson } from "../reply-text.ts";
import { type UserState, userState } from "../user-state.ts";

type Handlers = HandlersOf<typeof STATE_OPERATIONS>;
type HandlersNamed<K extends keyof Handlers> = Pick<Handlers, K>;

export function stateHandlers(parts: ServerParts): Handlers {
  const state = userState(parts.broker);
  return { ...valueHandlers(state), ...lockHandlers(state, parts.newId), ...checkpointHandlers(state) };
}

// ── Values ────────────────────────────────────────────────────────────────────────────────────

function valueHandlers(state: UserState): HandlersNamed<"getValue" | "putValue" | "deleteValue" | "listValues"> {
  return {
    getValue: async ({ params: { key } }) => {
      const { value } = await state("readValue", { key });
      if (value === undefined) throw new HoldfastError("VALUE_NOT_FOUND", { key });
      return withVersion({ success: true, ...valueReply(value) }, value.version);
    },

    putValue: async ({ params: { key }, body }, call) => {
      const { ttlMs, writeId } = body;
      const expected = expectedVersion("putValue", { call, ifVersion: body.ifVersion, place: "body.ifVersion" });
      const { version, expiresAt } = await state("writeValue", {
        key,
        value: textOf({ method: "putValue", path: "body.value", value: body.value }),
        ttlMs,
        ...(expected === undefined ? {} : { ifVersion: expected }),
        ...(writeId === undefined ? {} : { writeId }),
      });
      return withVersion({ success: true, key, version, expiresAt }, version);
    },

    deleteValue: async ({ params: { key }, query }, call) => {
      const expected = expectedVersion("deleteValue", { call, ifVersion: query.ifVersion, place: "query.ifVersion" });
      const { deleted } = await state("deleteValue", {
        key,
        ...(expected === undefined ? {} : { ifVersion: expected }),
      });
      return { success: true, deleted };
    },

    listValues: async ({ query }) => {
      const { values, next } = await state("listValues", pageOf(query));
      return { success: true, values: values.map(valueReply), next };
    },
  };
}

function valueReply({ value, ...about }: ValueView): Omit<ValueView, "value"> & { readonly value: unknown } {
  return { ...about, value: JsonText.of(value) };
}

function withVersion(reply: unknown, version: number): RawReply {
  return new RawReply("application/json; charset=utf-8", printJson(reply), { etag: `"${version}"` });
}

interface Expected {
  readonly call: Call;
  readonly ifVersion: number | undefined;
  /** Where it was said. */
  readonly place: string;
}

/** The version that must be there; said by a field, or in the words of HTTP by a header. */
function expectedVersion(method: string, { call, ifVersion, place }: Expected): number | undefined {
  const match = call.header("if-match");
  const noneMatch = call.header("if-none-match");
  const said: number[] = ifVersion === undefined ? [] : [ifVersion];
  if (match !== undefined) {
    const version = /^"(\d{1,15})"$/.exec(match.trim())?.[1];
    if (version === undefined) throw wrongHeader(method, "if-match", 'the ETag of a version, such as "3"');
    said.push(Number(version));
  }
  if (noneMatch !== undefined) {
    if (noneMatch.trim() !== "*") throw wrongHeader(method, "if-none-match", "*");
    said.push(0);
  }
  if (new Set(said).size > 1) {
    const problem = "asks for another version than the headers do";
    throw new HoldfastError("INVALID_REQUEST", {
      method,
      path: ifVersion === undefined ? "header if-match" : place,
      problem,
    });
  }
  return said[0];
}

function wrongHeader(method: string, name: string, expected: string): HoldfastError {
  return new HoldfastError("INVALID_REQUEST", { method, path: `header ${name}`, problem: `expected ${expected}` });
}

// ── Locks ─────────────────────────────────────────────────────────────────────────────────────

function lockHandlers(
  state: UserState,
  newId: () => string,
): HandlersNamed<"acquireLock" | "extendLock" | "releaseLock" | "getLock" | "listLocks"> {
  return {
    acquireLock: async ({ params: { lock }, body }, { signal }) => {
      const { ttlMs, wait: waitMs, note } = body;
      const owner = body.owner ?? newId();
      const params = { lock, owner, ttlMs, waitMs, ...(note === undefined ? {} : { note }) };
      const isOwnerKnown = body.owner !== undefined;
      const { grant, holder, ahead } = await acquireForCaller(state, params, { signal, isOwnerKnown });
      if (grant !== undefined) return { success: true, lock, owner, ...grant };
      throw new HoldfastError("LOCK_TAKEN", {
        lock,
        owner,
        waitedMs: waitMs,
        ahead,
        ...(holder === undefined ? {} : { holder: holder.owner, holderExpiresAt: holder.expiresAt }),
        ...(holder?.note === undefined ? {} : { holderNote: holder.note }),
      });
    },

    extendLock: async ({ params: { lock }, body: { owner, ttlMs } }) => {
      const grant = await state("extendLock", { lock, owner, ttlMs });
      return { success: true, lock, owner, ...grant };
    },

    releaseLock: async ({ params: { lock }, body: { owner } }) => {
      const { released } = await state("releaseLock", { lock, owner });
      return { success: true, released };
    },

    getLock: async ({ params: { lock } }) => {
      const { lock: held } = await state("readLock", { lock });
      if (held === undefined) throw new HoldfastError("LOCK_NOT_HELD", { lock });
      return { success: true, lock: held };
    },

    listLocks: async ({ query }) => {
      const { locks, next } = await state("listLocks", pageOf(query));
      return { success: true, locks: [...locks], next };
    },
  };
}

// ── Checkpoints ───────────────────────────────────────────────────────────────────────────────

function checkpointHandlers(
  state: UserState,
): HandlersNamed<
  | "saveCheckpoint"
  | "listCheckpoints"
  | "getLatestCheckpoint"
  | "getCheckpoint"
  | "deleteCheckpoint"
  | "deleteCheckpoints"
  | "pruneCheckpoints"
> {
  const read = async (scope: string, version?: number) => {
    const { checkpoint } = await state("readCheckpoint", { scope, ...(version === undefined ? {} : { version }) });
    if (checkpoint === undefined) throw new HoldfastError("CHECKPOINT_NOT_FOUND", { scope });
    const { data, ...about } = checkpoint;
    return { success: true as const, ...about, data: JsonText.of(data) };
  };
  const remove = async (scope: string, which: { readonly version?: number; readonly keep?: number }) => {
    const { deleted } = await state("deleteCheckpoints", { scope, ...which });
    return { success: true as const, deleted };
  };
  return {
    saveCheckpoint: async ({ params: { scope }, body }) => {
      const { data, label, saveId, ...rest } = body;
      const { version } = await state("saveCheckpoint", {
        scope,
        data: textOf({ method: "saveCheckpoint", path: "body.data", value: data }),
        ...rest,
        ...(label === undefined ? {} : { label }),
        ...(saveId === undefined ? {} : { saveId }),
      });
      return { success: true, scope, version };
    },

    listCheckpoints: async ({ params: { scope } }) => {
      const { checkpoints } = await state("listCheckpoints", { scope });
      return { success: true, scope, checkpoints: [...checkpoints] };
    },

    getLatestCheckpoint: ({ params: { scope } }) => read(scope),
    getCheckpoint: ({ params: { scope, version } }) => read(scope, version),
    deleteCheckpoint: ({ params: { scope, version } }) => remove(scope, { version }),
    deleteCheckpoints: ({ params: { scope } }) => remove(scope, {}),
    pruneCheckpoints: ({ params: { scope }, body: { keep } }) => remove(scope, { keep }),
  };
}

function pageOf({ prefix, limit, cursor }: PageQuery): ListValuesParams {
  return {
    limit,
    ...(prefix === undefined ? {} : { prefix }),
    ...(cursor === undefined ? {} : { after: cursor }),
  };
}

interface PageQuery {
  readonly prefix?: string;
  readonly limit: number;
  readonly cursor?: string;
}
