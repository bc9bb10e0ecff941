/** Shared state over the public API: the contract's verbs for locks, values and checkpoints. */
import { STATE_OPERATIONS } from "../../api/operations/state.ts";
import { HoldfastError } from "../../errors/index.ts";
import type { Broker } from "../contract.ts";
import type { HttpLink } from "./http-link.ts";

export type HttpStateMethod =
  | "acquireLock"
  | "extendLock"
  | "releaseLock"
  | "writeValue"
  | "readValue"
  | "deleteValue"
  | "listValues"
  | "saveCheckpoint"
  | "readCheckpoint";

export function httpState(link: HttpLink): Pick<Broker, HttpStateMethod> {
  return { ...locks(link), ...values(link), ...checkpoints(link) };
}

function locks(link: HttpLink): Pick<Broker, "acquireLock" | "extendLock" | "releaseLock"> {
  return {
    acquireLock: async ({ lock, owner, ttlMs, waitMs, note }) => {
      const body = {
        owner,
        ttlMs,
        ...(waitMs > 0 ? { wait: `${Math.ceil(waitMs)}ms` } : {}),
        ...(note === undefined ? {} : { note }),
      };
      try {
        const { token, expiresAt } = await link.call(
          STATE_OPERATIONS.acquireLock,
          { params: { lock }, body },
          { waitMs },
        );
        return { grant: { token, expiresAt }, ahead: 0 };
      } catch (thrown) {
        if (!HoldfastError.is(thrown, "LOCK_TAKEN")) throw thrown;
        return { ahead: Number(thrown.details["ahead"] ?? 0) };
      }
    },
    extendLock: async ({ lock, ...body }) => {
      const { token, expiresAt } = await link.call(STATE_OPERATIONS.extendLock, { params: { lock }, body });
      return { token, expiresAt };
    },
    releaseLock: async ({ lock, owner }) => {
      const { released } = await link.call(STATE_OPERATIONS.releaseLock, { params: { lock }, body: { owner } });
      return { released };
    },
  };
}

function values(link: HttpLink): Pick<Broker, "writeValue" | "readValue" | "deleteValue" | "listValues"> {
  return {
    writeValue: async ({ key, value, ...how }) => {
      const { version, expiresAt } = await link.call(STATE_OPERATIONS.putValue, {
        params: { key },
        body: { value: JSON.parse(value) as unknown, ...how },
      });
      return { version, ...(expiresAt === undefined ? {} : { expiresAt }) };
    },
    readValue: async ({ key }) => {
      try {
        return { value: asValue(await link.call(STATE_OPERATIONS.getValue, { params: { key } })) };
      } catch (thrown) {
        if (HoldfastError.is(thrown, "VALUE_NOT_FOUND")) return {};
        throw thrown;
      }
    },
    deleteValue: async ({ key, ifVersion }) => {
      const query = ifVersion === undefined ? {} : { ifVersion: String(ifVersion) };
      const { deleted } = await link.call(STATE_OPERATIONS.deleteValue, { params: { key }, query });
      return { deleted };
    },
    listValues: async ({ prefix, limit, after }) => {
      const { values: found, next } = await link.call(STATE_OPERATIONS.listValues, {
        query: {
          limit: String(limit),
          ...(prefix === undefined ? {} : { prefix }),
          ...(after === undefined ? {} : { cursor: after }),
        },
      });
      return { values: found.map(asValue), ...(next === undefined ? {} : { next }) };
    },
  };
}

interface ShownValue {
  readonly key: string;
  readonly value?: unknown;
  readonly version: number;
  readonly updatedAt: number;
  readonly expiresAt?: number | undefined;
}

function asValue({ key, value, version, updatedAt, expiresAt }: ShownValue): {
  readonly key: string;
  readonly value: string;
  readonly version: number;
  readonly updatedAt: number;
  readonly expiresAt?: number;
} {
  return { key, value: JSON.stringify(value), version, updatedAt, ...(expiresAt === undefined ? {} : { expiresAt }) };
}

function checkpoints(link: HttpLink): Pick<Broker, "saveCheckpoint" | "readCheckpoint"> {
  return {
    saveCheckpoint: async ({ scope, data, ...how }) => {
      const { version } = await link.call(STATE_OPERATIONS.saveCheckpoint, {
        params: { scope },
        body: { data: JSON.parse(data) as unknown, ...how },
      });
      return { version };
    },
    readCheckpoint: async ({ scope, version }) => {
      try {
        const found =
          version === undefined
            ? await link.call(STATE_OPERATIONS.getLatestCheckpoint, { params: { scope } })
            : await link.call(STATE_OPERATIONS.getCheckpoint, { params: { scope, version: String(version) } });
        const { label, data, success: _, ...info } = found;
        const view = { ...info, data: JSON.stringify(data), ...(label === undefined ? {} : { label }) };
        return { checkpoint: view };
      } catch (thrown) {
        if (HoldfastError.is(thrown, "CHECKPOINT_NOT_FOUND")) return {};
        throw thrown;
      }
    },
  };
}
