/** Writes and saves that named themselves, with their answers, so that a repeat changes nothing (promise 7). */
import { WRITE_MEMORY_MS } from "../limits.ts";
import type { Engine } from "./engine.ts";

export interface RepeatKey {
  readonly kind: "value" | "checkpoint";
  readonly name: Uint8Array;
  /** Absent: the call has no name and is never known again. */
  readonly id: string | undefined;
}

export interface RememberedAnswer {
  readonly version: number;
  readonly expiresAt?: number;
}

export function rememberedAnswer(engine: Engine, { kind, name, id }: RepeatKey): RememberedAnswer | undefined {
  if (id === undefined) return undefined;
  const row = engine.db.get(
    "SELECT version, expires_at FROM state_repeats WHERE kind = ? AND name = ? AND id = ? AND until > ?",
    kind,
    name,
    id,
    engine.now,
  );
  if (row === undefined) return undefined;
  const expiresAt = row["expires_at"];
  return { version: Number(row["version"]), ...(typeof expiresAt === "number" ? { expiresAt } : {}) };
}

export function rememberAnswer(engine: Engine, { kind, name, id }: RepeatKey, answer: RememberedAnswer): void {
  if (id === undefined) return;
  engine.db.run(
    "INSERT OR REPLACE INTO state_repeats (kind, name, id, version, expires_at, until) VALUES (?, ?, ?, ?, ?, ?)",
    kind,
    name,
    id,
    answer.version,
    answer.expiresAt ?? null,
    engine.now + WRITE_MEMORY_MS,
  );
}
