-- Duty promote: what was delayed, or waits for its next try, is ready when its time has come.
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] most entries
-- Returns   { 'ok', entries handled, 1 when more are due, ms until the next one falls due ('' for never) }
-- Invariant An entry leaves `due` in the step that makes its work ready.

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
-- @include lib/later

local promote = {}

function promote.g(execution, no)
  local group = records.group(execution, no)
  call('HDEL', group.key, 'notBefore')
  group.notBefore = nil
  books.flush()
  -- What an edit has moved has a time of its own. No work can wait for its next try before the group has started.
  local row = call('HMGET', group.key, 'scheduled', 'apart')
  local scheduled = count(row[1]) - count(row[2])
  call('HDEL', group.key, 'apart')
  books.move(group, 'scheduled', 'queued', scheduled)
  if scheduled > 0 then
    ready.offerAll(group, scheduled)
  end
end

function promote.t(execution, _, task)
  suspending.wake(execution, task, 'time')
  later.queue(execution, task, 'due')
end

function promote.r(execution, no, start)
  later.queue(execution, int(records.group(execution, no).first) .. ':' .. start, 'due')
end

local members = call('ZRANGEBYSCORE', PREFIX .. 'due', '-inf', int(now), 'LIMIT', 0, tonumber(ARGV[3]))
for _, member in ipairs(members) do
  call('ZREM', PREFIX .. 'due', member)
  local kind, no, what, id = string.match(member, '^(%a):(%d+):(%d*):(.*)$')
  local execution = records.live(id)
  if execution then
    promote[kind](execution, no, what)
  end
end
finishScript()
local first = call('ZRANGE', PREFIX .. 'due', 0, 0, 'WITHSCORES')
local nextAt = first[2] and tonumber(first[2])
return { 'ok', #members, (nextAt and nextAt <= now) and 1 or 0, nextAt and int(nextAt - now) or '' }
