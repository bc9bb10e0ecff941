/** Part of the duty purge: shared state whose time is over. It is out of sight already; here it leaves the file. */
import type { Engine } from "./engine.ts";

/** One statement each: deletes at most so many rows whose time was over by then. */
const OVER = [
  "DELETE FROM state_values WHERE rowid IN (SELECT rowid FROM state_values WHERE expires_at <= ? LIMIT ?)",
  "DELETE FROM locks WHERE name IN (SELECT name FROM locks WHERE expires_at <= ? LIMIT ?)",
  "DELETE FROM lock_line WHERE (lock, place) IN (SELECT lock, place FROM lock_line WHERE until <= ? LIMIT ?)",
  "DELETE FROM state_repeats WHERE (kind, name, id) IN (SELECT kind, name, id FROM state_repeats WHERE until <= ? LIMIT ?)",
] as const;

/** Deletes up to `limit` rows; returns how many. */
export function purgeState(engine: Engine, limit: number): number {
  let handled = 0;
  for (const sql of OVER) {
    if (handled < limit) handled += engine.db.run(sql, engine.now, limit - handled);
  }
  return handled < limit ? handled + purgeScopes(engine, limit - handled) : handled;
}

/** A scope's own row goes last, when none of its checkpoints is left. */
function purgeScopes(engine: Engine, limit: number): number {
  const { db, now } = engine;
  let handled = db.run(
    `DELETE FROM checkpoints WHERE rowid IN (
       SELECT c.rowid FROM checkpoint_scopes s JOIN checkpoints c ON c.scope = s.scope WHERE s.expires_at <= ? LIMIT ?)`,
    now,
    limit,
  );
  if (handled < limit) {
    handled += db.run(
      "DELETE FROM checkpoint_scopes WHERE scope IN (SELECT scope FROM checkpoint_scopes WHERE expires_at <= ? LIMIT ?)",
      now,
      limit - handled,
    );
  }
  return handled;
}
