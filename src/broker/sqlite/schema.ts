/**
 * Tables of the embedded broker.
 *
 * A task's id is `execution * 2^24 + task`, so the tasks of an execution lie side by side and a run
 * of them can be claimed with one range update. An array is one row of `groups` with a cursor; only
 * chunks that are out, handed back or dead have a row in `chunks`, only committed ones in `results`.
 */

import { FAILED } from "./model.ts";
import { STATE_SCHEMA } from "./state-schema.ts";

/** Stored in `PRAGMA user_version`. A database with a higher number is refused (STORE_TOO_NEW). */
export const SCHEMA_VERSION = 3;
/** Stored in `PRAGMA application_id`: "HOLD". */
export const APPLICATION_ID = 0x484f4c44;

/** What is a dead letter; queries that ask for them must say it in these words to be answered from the index. */
export const IS_LETTER = `state = ${FAILED} AND discarded = 0`;

const LETTERS = `
CREATE INDEX tasks_letters ON tasks (id) WHERE ${IS_LETTER};
CREATE INDEX chunks_letters ON chunks (execution, task, start) WHERE ${IS_LETTER};
`;

const SIGNALS = `
CREATE TABLE signals (
  execution INTEGER NOT NULL,
  name TEXT NOT NULL,
  payload TEXT NOT NULL,
  PRIMARY KEY (execution, name)
) WITHOUT ROWID;
`;

export const SCHEMA = `
CREATE TABLE meta (
  key TEXT PRIMARY KEY,
  value INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE executions (
  no INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  key TEXT UNIQUE,
  fingerprint TEXT NOT NULL,      -- of the submission, to tell a repeat from a conflict
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  state TEXT NOT NULL,
  priority INTEGER NOT NULL,
  open INTEGER NOT NULL,          -- 1: more parts may follow
  parts INTEGER NOT NULL,         -- parts taken by extend
  next_task INTEGER NOT NULL,
  max_failures INTEGER,
  retention_ms INTEGER NOT NULL,
  verify TEXT,
  keep_inputs INTEGER NOT NULL DEFAULT 0,
  paused_by TEXT,
  paused_at INTEGER,              -- while it is paused
  meta TEXT,
  counters TEXT NOT NULL,         -- JSON, see model.ts
  first_failure TEXT,
  verification TEXT,
  created_at INTEGER NOT NULL,
  started_at INTEGER,
  ended_at INTEGER,
  purge_at INTEGER,
  edits TEXT,                     -- JSON of the last edits, newest first, so that they are known when they are sent again
  undo TEXT                       -- JSON of what takes the last edit back
);
CREATE INDEX executions_purge ON executions (purge_at) WHERE purge_at IS NOT NULL;
CREATE INDEX executions_live ON executions (no) WHERE ended_at IS NULL;

CREATE TABLE groups (
  execution INTEGER NOT NULL,
  no INTEGER NOT NULL,
  first INTEGER NOT NULL,         -- number of its first task
  count INTEGER NOT NULL,         -- tasks; 1 for an array
  spec TEXT NOT NULL,             -- JSON of the TaskGroup without its work
  linked INTEGER NOT NULL,        -- 1: some tasks wait for others
  ranked INTEGER NOT NULL DEFAULT 0, -- 1: some tasks have a rank above 0
  not_before INTEGER,
  array TEXT,                     -- JSON { length, chunk, results } of an array
  source TEXT,
  cursor INTEGER NOT NULL,        -- first item never carved (arrays)
  average_item_ms REAL,
  counters TEXT NOT NULL,
  PRIMARY KEY (execution, no)
) WITHOUT ROWID;

CREATE TABLE tasks (
  id INTEGER PRIMARY KEY,         -- execution * 2^24 + task
  state INTEGER NOT NULL,         -- index into STORED_STATES
  attempt INTEGER NOT NULL,
  failures INTEGER NOT NULL,
  losses INTEGER NOT NULL,
  token INTEGER,                  -- of the running or the last orderly ended attempt
  session INTEGER,                -- that runs or ran it
  at INTEGER,                     -- claimed or ended
  not_before INTEGER,
  waiting_on INTEGER,             -- things that it waits for: parents that have not completed, and see dependents.ts
  parents TEXT,                   -- JSON numbers
  input TEXT,
  result TEXT,
  duration_ms REAL,
  failure TEXT,
  discarded INTEGER NOT NULL DEFAULT 0, -- 1: a dead letter that was struck off
  taken_back INTEGER,             -- results told by events up to this cursor do not count any more
  removed INTEGER NOT NULL DEFAULT 0, -- 1: skipped because a person removed it
  label TEXT,
  rank REAL NOT NULL DEFAULT 0,
  passes INTEGER NOT NULL DEFAULT 0, -- 1: its dependents were released though it has not completed
  held INTEGER NOT NULL DEFAULT 0,   -- 1: not started until it is let go; counts in waiting_on
  wake TEXT,                         -- JSON of its suspension, see wake.ts
  awaits TEXT                        -- the signal that it waits for now
);
CREATE INDEX tasks_due ON tasks (not_before) WHERE not_before IS NOT NULL;
CREATE INDEX tasks_awaiting ON tasks (awaits, id) WHERE awaits IS NOT NULL;

CREATE TABLE edges (
  parent INTEGER NOT NULL,
  child INTEGER NOT NULL,
  PRIMARY KEY (parent, child)
) WITHOUT ROWID;

CREATE TABLE chunks (
  execution INTEGER NOT NULL,
  task INTEGER NOT NULL,
  start INTEGER NOT NULL,
  replica INTEGER NOT NULL,       -- 0: the chunk itself
  end INTEGER NOT NULL,
  state INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  failures INTEGER NOT NULL,
  losses INTEGER NOT NULL,
  careful INTEGER NOT NULL,
  token INTEGER,
  session INTEGER,
  at INTEGER NOT NULL,
  not_before INTEGER,
  failure TEXT,
  discarded INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (execution, task, start, replica)
) WITHOUT ROWID;
CREATE INDEX chunks_due ON chunks (not_before) WHERE not_before IS NOT NULL;

CREATE TABLE results (            -- committed chunks
  execution INTEGER NOT NULL,
  task INTEGER NOT NULL,
  start INTEGER NOT NULL,
  end INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  token INTEGER NOT NULL,
  worker TEXT NOT NULL,
  at INTEGER NOT NULL,
  duration_ms REAL NOT NULL,
  item_values TEXT,
  partial TEXT,
  missing TEXT,
  PRIMARY KEY (execution, task, start, end)
);

CREATE TABLE verifications (      -- sampled chunks that are not judged yet
  execution INTEGER NOT NULL,
  task INTEGER NOT NULL,
  start INTEGER NOT NULL,
  end INTEGER NOT NULL,
  wanted INTEGER NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (execution, task, start)
) WITHOUT ROWID;
CREATE TABLE copies (
  execution INTEGER NOT NULL,
  task INTEGER NOT NULL,
  start INTEGER NOT NULL,
  replica INTEGER NOT NULL,
  worker TEXT NOT NULL,
  token INTEGER NOT NULL,
  item_values TEXT NOT NULL,
  PRIMARY KEY (execution, task, start, replica)
);

CREATE TABLE sessions (
  no INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  profile TEXT NOT NULL,
  state TEXT NOT NULL,
  opened_at INTEGER NOT NULL,
  seen_at INTEGER NOT NULL,
  completed INTEGER NOT NULL
);

CREATE TABLE attempts (           -- attempts worth remembering: failed, lost, or with output
  seq INTEGER PRIMARY KEY,
  execution INTEGER NOT NULL,
  task INTEGER NOT NULL,
  start INTEGER,
  end INTEGER,
  attempt INTEGER NOT NULL,
  worker TEXT NOT NULL,
  outcome TEXT NOT NULL,
  failure TEXT,
  output TEXT,
  duration_ms REAL,
  at INTEGER NOT NULL
);
CREATE INDEX attempts_execution ON attempts (execution, seq);

CREATE TABLE events (
  cursor INTEGER PRIMARY KEY AUTOINCREMENT,
  at INTEGER NOT NULL,
  execution INTEGER,
  results TEXT,                   -- of a commit: the result rows it made, [] when they are the change's tasks
  change TEXT NOT NULL
);
CREATE INDEX events_execution ON events (execution, cursor);

CREATE TABLE pools (
  name TEXT PRIMARY KEY,          -- "*": all pools, those to come included
  paused INTEGER NOT NULL,
  paused_by TEXT,
  paused_at INTEGER,
  completed INTEGER NOT NULL DEFAULT 0, -- items that ended so since the file was made
  failed INTEGER NOT NULL DEFAULT 0,
  min_workers INTEGER NOT NULL DEFAULT 0,
  max_workers INTEGER
) WITHOUT ROWID;
${SIGNALS}
CREATE TABLE leaders (
  lease TEXT PRIMARY KEY,
  holder TEXT NOT NULL,
  term INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) WITHOUT ROWID;
${LETTERS}
${STATE_SCHEMA}`;

/** Steering: who paused what, inputs kept for reruns, letters discarded, edits, totals of pools. */
const STEERING = `
ALTER TABLE executions ADD COLUMN keep_inputs INTEGER NOT NULL DEFAULT 0;
ALTER TABLE executions ADD COLUMN paused_by TEXT;
ALTER TABLE executions ADD COLUMN paused_at INTEGER;
UPDATE executions SET paused_at = unixepoch() * 1000 WHERE state = 'paused';
ALTER TABLE tasks ADD COLUMN discarded INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tasks ADD COLUMN taken_back INTEGER;
ALTER TABLE tasks ADD COLUMN removed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE executions ADD COLUMN edits TEXT;
ALTER TABLE chunks ADD COLUMN discarded INTEGER NOT NULL DEFAULT 0;
ALTER TABLE pools ADD COLUMN paused_by TEXT;
ALTER TABLE pools ADD COLUMN paused_at INTEGER;
ALTER TABLE pools ADD COLUMN completed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE pools ADD COLUMN failed INTEGER NOT NULL DEFAULT 0;
UPDATE pools SET paused_at = unixepoch() * 1000 WHERE paused = 1;
${LETTERS}`;

/** Workflows: names and ranks of tasks, conditions, suspensions, signals, edits that are taken back, limits of pools. */
const WORKFLOWS = `
ALTER TABLE tasks ADD COLUMN label TEXT;
ALTER TABLE tasks ADD COLUMN rank REAL NOT NULL DEFAULT 0;
ALTER TABLE tasks ADD COLUMN passes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tasks ADD COLUMN held INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tasks ADD COLUMN wake TEXT;
ALTER TABLE tasks ADD COLUMN awaits TEXT;
CREATE INDEX tasks_awaiting ON tasks (awaits, id) WHERE awaits IS NOT NULL;
ALTER TABLE groups ADD COLUMN ranked INTEGER NOT NULL DEFAULT 0;
ALTER TABLE executions ADD COLUMN undo TEXT;
ALTER TABLE pools ADD COLUMN min_workers INTEGER NOT NULL DEFAULT 0;
ALTER TABLE pools ADD COLUMN max_workers INTEGER;
${SIGNALS}`;

/** What brings a file from the version before to this one. A new file has all of it from SCHEMA. */
export const MIGRATIONS: ReadonlyMap<number, readonly string[]> = new Map([
  [2, [STATE_SCHEMA, STEERING]],
  [3, [WORKFLOWS]],
]);
