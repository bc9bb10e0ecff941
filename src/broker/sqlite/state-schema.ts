/**
 * Tables of shared state. Names are stored as UTF-16 with the high byte first, so that the file's
 * order is the contract's, by code units (state-names.ts).
 */
export const STATE_SCHEMA = `
CREATE TABLE locks (
  name BLOB PRIMARY KEY,
  owner TEXT NOT NULL,
  token INTEGER NOT NULL,
  acquired_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  note TEXT
) WITHOUT ROWID;
CREATE INDEX locks_over ON locks (expires_at);

CREATE TABLE lock_line (          -- who waits for a lock, in order
  lock BLOB NOT NULL,
  place INTEGER NOT NULL,         -- ascending within the lock's line
  owner TEXT NOT NULL,
  until INTEGER NOT NULL,         -- the place is lost then, unless its owner asks again
  PRIMARY KEY (lock, place),
  UNIQUE (lock, owner)
) WITHOUT ROWID;
CREATE INDEX lock_line_over ON lock_line (until);

CREATE TABLE state_values (
  key BLOB PRIMARY KEY,
  version INTEGER NOT NULL,       -- from one counter for all keys, so that it ascends over deletions
  updated_at INTEGER NOT NULL,
  expires_at INTEGER,
  value TEXT NOT NULL
);
CREATE INDEX state_values_over ON state_values (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE checkpoint_scopes (
  scope BLOB PRIMARY KEY,
  last_version INTEGER NOT NULL,
  fence INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX checkpoint_scopes_over ON checkpoint_scopes (expires_at);

CREATE TABLE checkpoints (
  scope BLOB NOT NULL,
  version INTEGER NOT NULL,
  fence INTEGER NOT NULL,
  size INTEGER NOT NULL,
  saved_at INTEGER NOT NULL,
  label TEXT,
  data TEXT NOT NULL,             -- last: lists read the columns before it
  PRIMARY KEY (scope, version)
);

CREATE TABLE state_repeats (      -- answers to writes and saves that named themselves
  kind TEXT NOT NULL,             -- value, checkpoint
  name BLOB NOT NULL,
  id TEXT NOT NULL,
  version INTEGER NOT NULL,
  expires_at INTEGER,
  until INTEGER NOT NULL,
  PRIMARY KEY (kind, name, id)
) WITHOUT ROWID;
CREATE INDEX state_repeats_over ON state_repeats (until);
`;
