/** Transitions of values: write, delete; and how they are read. All of it is in the file alone. */
import { HoldfastError } from "../../errors/index.ts";
import type { DeleteValueParams, ListValuesParams, ListValuesReply, ValueView, WriteValueParams } from "../contract.ts";
import { MAX_REPLY_PAYLOAD } from "../limits.ts";
import type { Row } from "./database.ts";
import type { Engine } from "./engine.ts";
import { followerOf, nameBytes, nameRange, nameText } from "./state-names.ts";
import { rememberAnswer, rememberedAnswer, type RememberedAnswer, type RepeatKey } from "./state-repeats.ts";

/** Values read from the file at a time, so that a page of large ones is not read whole before it is cut. */
const VALUES_PER_READ = 32;

export function writeValue(engine: Engine, params: WriteValueParams): RememberedAnswer {
  const { db, now } = engine;
  const key = nameBytes(params.key);
  const repeat: RepeatKey = { kind: "value", name: key, id: params.writeId };
  const before = rememberedAnswer(engine, repeat);
  if (before !== undefined) return before;
  if (params.ifVersion !== undefined) checkVersion(params.key, params.ifVersion, versionOf(engine, key));
  const expiresAt = params.ttlMs === null ? undefined : now + params.ttlMs;
  const answer = { version: nextVersion(engine), ...(expiresAt === undefined ? {} : { expiresAt }) };
  db.run(
    `INSERT INTO state_values (key, version, updated_at, expires_at, value) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT (key) DO UPDATE SET version = excluded.version, updated_at = excluded.updated_at,
       expires_at = excluded.expires_at, value = excluded.value`,
    key,
    answer.version,
    now,
    expiresAt ?? null,
    params.value,
  );
  rememberAnswer(engine, repeat, answer);
  return answer;
}

/** One counter for all keys: a deleted key needs no memory of its last version. */
function nextVersion(engine: Engine): number {
  const row = engine.db.get(
    `INSERT INTO meta (key, value) VALUES ('value_version', 1)
     ON CONFLICT (key) DO UPDATE SET value = value + 1 RETURNING value`,
  );
  return Number(row?.["value"]);
}

export function deleteValue(engine: Engine, params: DeleteValueParams): { readonly deleted: boolean } {
  const key = nameBytes(params.key);
  const found = versionOf(engine, key);
  if (found === 0) return { deleted: false };
  if (params.ifVersion !== undefined) checkVersion(params.key, params.ifVersion, found);
  engine.db.run("DELETE FROM state_values WHERE key = ?", key);
  return { deleted: true };
}

function checkVersion(key: string, expected: number, found: number): void {
  if (expected !== found) throw new HoldfastError("VERSION_CONFLICT", { key, found, expected });
}

/** 0 when there is none, or its time is over. */
function versionOf(engine: Engine, key: Uint8Array): number {
  const row = engine.db.get(
    "SELECT version FROM state_values WHERE key = ? AND (expires_at IS NULL OR expires_at > ?)",
    key,
    engine.now,
  );
  return Number(row?.["version"] ?? 0);
}

export function readValue(engine: Engine, key: string): { readonly value?: ValueView } {
  const row = engine.db.get(
    "SELECT * FROM state_values WHERE key = ? AND (expires_at IS NULL OR expires_at > ?)",
    nameBytes(key),
    engine.now,
  );
  return row === undefined ? {} : { value: valueView(row) };
}

export function listValues(engine: Engine, { limit, ...which }: ListValuesParams): ListValuesReply {
  const { before, ...range } = nameRange(which);
  let { from } = range;
  const values: ValueView[] = [];
  let room = MAX_REPLY_PAYLOAD;
  for (;;) {
    const rows = valuesFrom(engine, { from, before });
    for (const row of rows) {
      const last = values.at(-1);
      if (last !== undefined && (values.length >= limit || room <= 0)) return { values, next: last.key };
      const view = valueView(row);
      values.push(view);
      room -= view.value.length;
      from = followerOf(view.key);
    }
    if (rows.length < VALUES_PER_READ) return { values };
  }
}

function valuesFrom(engine: Engine, range: { readonly from: Uint8Array; readonly before: Uint8Array }): readonly Row[] {
  return engine.db.all(
    `SELECT * FROM state_values WHERE key >= ? AND key < ? AND (expires_at IS NULL OR expires_at > ?)
     ORDER BY key LIMIT ?`,
    range.from,
    range.before,
    engine.now,
    VALUES_PER_READ,
  );
}

function valueView(row: Row): ValueView {
  const expiresAt = row["expires_at"];
  return {
    key: nameText(row["key"]),
    value: String(row["value"]),
    version: Number(row["version"]),
    updatedAt: Number(row["updated_at"]),
    ...(typeof expiresAt === "number" ? { expiresAt } : {}),
  };
}
