/** Transition lead: takes, renews or watches a leader lease. One process owns the file, so this only serves the shape. */
import type { LeadParams, LeadReply } from "../contract.ts";
import type { Engine } from "./engine.ts";

export function lead(engine: Engine, { lease, holder, ttlMs }: LeadParams): LeadReply {
  const { db, now } = engine;
  const row = db.get("SELECT holder, term, expires_at FROM leaders WHERE lease = ?", lease);
  const term = Number(row?.["term"] ?? 0);
  const isHeldByOther = row !== undefined && row["holder"] !== holder && Number(row["expires_at"]) > now;
  if (isHeldByOther) return { leader: false, term };
  const newTerm = row?.["holder"] === holder ? term : term + 1;
  db.run(
    `INSERT INTO leaders (lease, holder, term, expires_at) VALUES (?, ?, ?, ?)
     ON CONFLICT (lease) DO UPDATE SET holder = excluded.holder, term = excluded.term, expires_at = excluded.expires_at`,
    lease,
    holder,
    newTerm,
    now + ttlMs,
  );
  return { leader: true, term: newTerm };
}
