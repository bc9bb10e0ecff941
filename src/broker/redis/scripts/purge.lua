-- Duty purge: what has ended and outlived its retention is deleted, a bounded number of keys at a time.
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] most entries, [4] retention of sessions and their events (ms)
-- Returns   { 'ok', entries deleted, 1 when more wait, ms until the next execution goes ('' for never) }
-- Invariant The execution's own hash goes last: until then a repeated purge finds the rest.

-- @include lib/shard

local limit = tonumber(ARGV[3])
local handled = 0
local PARTS = { 'results', 'values', 'tries', 'events', 'commits', 'attempts', 'letters', 'groups', 'report',
  'disagreements', 'inputs', 'discarded', 'retaken', 'stopped', 'blocked', 'waits', 'rescue', 'marks', 'children', 'later', 'verifications',
  'copied', 'running', 'edits', 'suspended', 'resumes', 'signals', 'awaiting', 'held', 'undo' }

-- True when nothing of it is left.
local function purgeExecution(id)
  local key = PREFIX .. 'exec:' .. id
  local row = call('HMGET', key, 'groups', 'purged', 'key')
  local groups, from = count(row[1]), count(row[2])
  local to = math.min(groups, from + math.max(1, limit - handled))
  for no = from, to - 1 do
    handled = handled + 1
    call('UNLINK', key .. ':group:' .. no, key .. ':queue:' .. no, key .. ':again:' .. no, key .. ':chunks:' .. no,
      key .. ':ranges:' .. no)
  end
  if to < groups then
    call('HSET', key, 'purged', to)
    return false
  end
  for _, part in ipairs(PARTS) do
    handled = handled + call('UNLINK', key .. ':' .. part)
  end
  if row[3] and call('HGET', PREFIX .. 'keys', row[3]) == id then
    call('HDEL', PREFIX .. 'keys', row[3])
  end
  call('ZREM', PREFIX .. 'executions', id)
  call('ZREM', PREFIX .. 'purge', id)
  call('ZREM', PREFIX .. 'dead', id)
  handled = handled + call('UNLINK', key)
  return true
end

local function purgeSessions(before)
  local gone = call('ZRANGEBYSCORE', PREFIX .. 'ended-sessions', '-inf', int(before), 'LIMIT', 0,
    math.max(0, limit - handled))
  for _, id in ipairs(gone) do
    call('UNLINK', PREFIX .. 'session:' .. id)
    call('ZREM', PREFIX .. 'ended-sessions', id)
    handled = handled + 1
  end
end

while handled < limit do
  local id = call('ZRANGEBYSCORE', PREFIX .. 'purge', '-inf', int(now), 'LIMIT', 0, 1)[1]
  if not id then
    break
  end
  purgeExecution(id)
end
if handled < limit then
  purgeSessions(now - tonumber(ARGV[4]))
  local oldest = (now - tonumber(ARGV[4]) - EPOCH_MS) * 4096
  if oldest > 0 then
    call('XTRIM', PREFIX .. 'feed', 'MINID', int(oldest) .. '-0')
  end
end
local first = call('ZRANGE', PREFIX .. 'purge', 0, 0, 'WITHSCORES')
return { 'ok', handled, handled >= limit and 1 or 0, first[2] and int(tonumber(first[2]) - now) or '' }
