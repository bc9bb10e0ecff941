-- Duty purge, of state: locks, values, checkpoints and known writes whose time is over, a bounded number at a time.
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] most entries
-- Returns   { 'ok', entries deleted, 1 when more wait }
-- Invariant Nothing goes that still counts: an entry that was extended meanwhile gets its new time.

-- @include lib/shard
-- @include lib/state
-- @include lib/locks
-- @include lib/checkpoints

-- What is over is deleted; the time at which to look again, where something is not.
local ends = {}

function ends.l(name)
  local lock = locks.open(name)
  local holder = locks.holder(lock)
  locks.tidy(lock)
  if not holder then
    locks.drop(lock)
  end
  local last = call('ZREVRANGE', lock.patience, 0, 0, 'WITHSCORES')[2]
  return holder and holder.expiresAt or tonumber(last)
end

function ends.v(name)
  local key = PREFIX .. 'value:' .. name
  local expiresAt = call('HGET', key, 'expiresAt')
  if expiresAt == '' then
    return nil
  elseif count(expiresAt) > now then
    return count(expiresAt)
  end
  call('UNLINK', key)
  call('ZREM', PREFIX .. 'values', name)
end

function ends.c(name)
  local scope = checkpoints.open(name)
  checkpoints.dropOver(scope)
  return scope.isThere and scope.expiresAt
end

function ends.w(name)
  state.forget('w', name)
end

function ends.s(name)
  state.forget('s', name)
end

local limit, deleted = tonumber(ARGV[3]), 0
local due = call('ZRANGEBYSCORE', PREFIX .. 'state-ends', '-inf', int(now), 'LIMIT', 0, limit)
for _, member in ipairs(due) do
  local kind, name = string.match(member, '^(%l):(.*)$')
  local later = ends[kind](name)
  if later then
    state.endsAt(kind, name, later)
  else
    state.endsNever(kind, name)
    deleted = deleted + 1
  end
end
return { 'ok', deleted, #due == limit and limit > 0 and 1 or 0 }
