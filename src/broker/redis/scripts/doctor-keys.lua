-- Examination of keys: each belongs to an execution, a session, a pool or the shard, which knows of it.
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] 1: mend, then keys of the shard, as SCAN tells them
-- Returns   { 'ok', findings (lib/examining.lua) }
-- Invariant A key goes only when what it belongs to is gone in the same step. Keys that no Holdfast of this format
--           makes are told of and left alone.

-- @include lib/shard
-- @include lib/records
-- @include lib/journal
-- @include lib/ready
-- @include lib/orders
-- @include lib/books
-- @include lib/leases
-- @include lib/letters
-- @include lib/ranges
-- @include lib/dependents
-- @include lib/suspending
-- @include lib/verification
-- @include lib/claiming
-- @include lib/examining

local OWN = { meta = true, feed = true, executions = true, live = true, keys = true, purge = true, due = true, verifying = true,
  timed = true, pools = true, sessions = true, unheard = true, ['ended-sessions'] = true, locks = true,
  values = true, ['state-ends'] = true, opened = true, dead = true,
  paused = true }
-- What is kept of an execution until its retention is over; what is kept of one that failed with work left; and what goes
-- with its end.
local KEPT = { results = true, values = true, tries = true, events = true, commits = true, attempts = true, letters = true,
  groups = true, report = true, disagreements = true, group = true, inputs = true, discarded = true, retaken = true,
  children = true, marks = true, edits = true, suspended = true, resumes = true, signals = true,
  held = true, undo = true }
local WAITING = { blocked = true, waits = true, rescue = true, later = true, stopped = true, awaiting = true, queue = true, again = true,
  chunks = true, ranges = true }
local OPEN = { verifications = true, copied = true, running = true, lanes = true }

local function orphan(key)
  examining.note('orphan', key, function()
    call('UNLINK', key)
  end)
end

local function strange(key)
  examining.note('strange-key', key)
end

local function typeOf(key)
  return call('TYPE', key)['ok']
end

local function checkExecution(key, id, part)
  local birth = typeOf(PREFIX .. 'exec:' .. id) == 'hash' and call('HMGET', PREFIX .. 'exec:' .. id, 'state', 'birth')
  if not (birth and birth[1]) then
    orphan(key)
  elseif not part then
    if not call('ZSCORE', PREFIX .. 'executions', id) then
      examining.note('execution-unlisted', id, function()
        call('ZADD', PREFIX .. 'executions', birth[2] or 0, id)
      end)
    end
  elseif WAITING[part] or OPEN[part] then
    local isKept = WAITING[part] and call('HEXISTS', PREFIX .. 'exec:' .. id, 'kept') == 1
    if not (isKept or records.live(id)) then
      orphan(key)
    end
  elseif not KEPT[part] then
    strange(key)
  end
end

local function checkSession(key, id, part)
  local state = call('HGET', PREFIX .. 'session:' .. id, 'state')
  if not state then
    orphan(key)
  elseif part then
    if not records.session(id) then
      orphan(key)
    end
  elseif records.session(id) then
    if not call('ZSCORE', PREFIX .. 'sessions', id) then
      examining.note('session-unlisted', id, function()
        call('ZADD', PREFIX .. 'sessions', int(now), id)
      end)
    end
  elseif not call('ZSCORE', PREFIX .. 'ended-sessions', id) then
    examining.note('session-unlisted', id, function()
      call('ZADD', PREFIX .. 'ended-sessions', int(now), id)
    end)
  end
end

local SUFFIXES = { ':idle', ':members', ':buckets', ':since', ':replicas' }

-- The pool that a key is of, and its bucket where it is one. Names of pools may hold anything.
local function poolOf(rest)
  local pool, bucket = string.match(rest, '^(.-):bucket:(.*)$')
  if pool then
    return pool, bucket
  end
  for _, suffix in ipairs(SUFFIXES) do
    if #rest > #suffix and string.sub(rest, -#suffix) == suffix then
      return string.sub(rest, 1, -#suffix - 1)
    end
  end
  return rest
end

local function checkPool(rest)
  local pool, bucket = poolOf(rest)
  if call('SISMEMBER', PREFIX .. 'pools', pool) == 0 and call('SISMEMBER', PREFIX .. 'pools', rest) == 0 then
    examining.note('pool-unlisted', pool, function()
      call('SADD', PREFIX .. 'pools', pool)
    end)
  elseif bucket and call('SISMEMBER', ready.poolKey(pool) .. ':buckets', bucket) == 0 then
    examining.note('not-offered', bucket .. ' in ' .. pool, function()
      call('SADD', ready.poolKey(pool) .. ':buckets', bucket)
    end)
  end
end

local function examine(key)
  if call('EXISTS', key) == 0 then
    return
  end
  local name = string.sub(key, #PREFIX + 1)
  local kind, rest = string.match(name, '^(%a+):(.*)$')
  if kind == 'exec' then
    checkExecution(key, string.match(rest, '^([^:]*)'), string.match(rest, '^[^:]*:([^:]*)'))
  elseif kind == 'session' then
    checkSession(key, string.match(rest, '^([^:]*)'), string.match(rest, '^[^:]*:(.*)$'))
  elseif kind == 'pool' then
    checkPool(rest)
  elseif kind ~= 'leader' and not OWN[name] then
    strange(key)
  end
end

for at = 4, #ARGV do
  examine(ARGV[at])
end
return examining.reply()
