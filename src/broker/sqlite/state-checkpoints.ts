/** Transitions of checkpoints: save, delete; and how they are read. All of it is in the file alone. */
import { HoldfastError } from "../../errors/index.ts";
import type {
  CheckpointInfo,
  CheckpointView,
  DeleteCheckpointsParams,
  ReadCheckpointParams,
  SaveCheckpointParams,
} from "../contract.ts";
import type { Row } from "./database.ts";
import type { Engine } from "./engine.ts";
import { nameBytes } from "./state-names.ts";
import { rememberAnswer, rememberedAnswer, type RepeatKey } from "./state-repeats.ts";

/** What a scope remembers besides its checkpoints, and after they were deleted. */
interface ScopeRow {
  readonly lastVersion: number;
  readonly fence: number;
}

export function saveCheckpoint(engine: Engine, params: SaveCheckpointParams): { readonly version: number } {
  const { db, now } = engine;
  const scope = nameBytes(params.scope);
  const repeat: RepeatKey = { kind: "checkpoint", name: scope, id: params.saveId };
  const before = rememberedAnswer(engine, repeat);
  if (before !== undefined) return { version: before.version };
  const known = liveScope(engine, scope);
  const latest = known?.fence ?? params.fence;
  if (params.fence < latest)
    throw new HoldfastError("CHECKPOINT_FENCED", { scope: params.scope, fence: params.fence, latest });
  // A scope whose time is over begins anew: nothing of it may come back.
  if (known === undefined) db.run("DELETE FROM checkpoints WHERE scope = ?", scope);
  const version = (known?.lastVersion ?? 0) + 1;
  db.run(
    "INSERT OR REPLACE INTO checkpoint_scopes (scope, last_version, fence, expires_at) VALUES (?, ?, ?, ?)",
    scope,
    version,
    params.fence,
    now + params.ttlMs,
  );
  db.run(
    "INSERT INTO checkpoints (scope, version, fence, size, saved_at, label, data) VALUES (?, ?, ?, ?, ?, ?, ?)",
    scope,
    version,
    params.fence,
    params.data.length,
    now,
    params.label ?? null,
    params.data,
  );
  keepNewest(engine, scope, params.keep);
  rememberAnswer(engine, repeat, { version });
  return { version };
}

/** Undefined when nothing was saved, or the scope's time is over. */
function liveScope(engine: Engine, scope: Uint8Array): ScopeRow | undefined {
  const row = engine.db.get(
    "SELECT last_version, fence FROM checkpoint_scopes WHERE scope = ? AND expires_at > ?",
    scope,
    engine.now,
  );
  return row === undefined ? undefined : { lastVersion: Number(row["last_version"]), fence: Number(row["fence"]) };
}

function keepNewest(engine: Engine, scope: Uint8Array, keep: number): number {
  return engine.db.run(
    `DELETE FROM checkpoints WHERE scope = ?1 AND version IN
       (SELECT version FROM checkpoints WHERE scope = ?1 ORDER BY version DESC LIMIT -1 OFFSET ?2)`,
    scope,
    keep,
  );
}

export function readCheckpoint(engine: Engine, params: ReadCheckpointParams): { readonly checkpoint?: CheckpointView } {
  const scope = nameBytes(params.scope);
  if (liveScope(engine, scope) === undefined) return {};
  const row =
    params.version === undefined
      ? engine.db.get("SELECT * FROM checkpoints WHERE scope = ? ORDER BY version DESC LIMIT 1", scope)
      : engine.db.get("SELECT * FROM checkpoints WHERE scope = ? AND version = ?", scope, params.version);
  if (row === undefined) return {};
  return { checkpoint: { ...checkpointInfo(params.scope, row), data: String(row["data"]) } };
}

export function listCheckpoints(engine: Engine, name: string): { readonly checkpoints: readonly CheckpointInfo[] } {
  const scope = nameBytes(name);
  if (liveScope(engine, scope) === undefined) return { checkpoints: [] };
  const rows = engine.db.all(
    "SELECT version, fence, size, saved_at, label FROM checkpoints WHERE scope = ? ORDER BY version DESC",
    scope,
  );
  return { checkpoints: rows.map((row) => checkpointInfo(name, row)) };
}

export function deleteCheckpoints(engine: Engine, params: DeleteCheckpointsParams): { readonly deleted: number } {
  const scope = nameBytes(params.scope);
  if (liveScope(engine, scope) === undefined) return { deleted: 0 };
  if (params.version === undefined) return { deleted: keepNewest(engine, scope, params.keep ?? 0) };
  return {
    deleted: engine.db.run("DELETE FROM checkpoints WHERE scope = ? AND version = ?", scope, params.version),
  };
}

function checkpointInfo(scope: string, row: Row): CheckpointInfo {
  const label = row["label"];
  return {
    scope,
    version: Number(row["version"]),
    fence: Number(row["fence"]),
    size: Number(row["size"]),
    savedAt: Number(row["saved_at"]),
    ...(typeof label === "string" ? { label } : {}),
  };
}
