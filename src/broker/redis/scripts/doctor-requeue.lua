-- Examination of an array: sets right what does not fit together, if nothing has moved since it was looked at.
--
-- Items that are nowhere are queued again: each is computed from its number. What stands twice leaves the place
-- that counts less.
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] 1: mend, [4] execution, [5] group, [6] seal (lib/examining.lua), then per mend:
--           'lost', start, end, the state that events tell ('' when they tell nothing) | 'cut', member of `ranges` |
--           'add', start, end (the rest of one that was cut) | 'drop', entry | 'forget', start (in `later`) | 'timer', start
-- Returns   { 'ok', findings (lib/examining.lua), 1 when the seal held }
-- Invariant Counters are not touched, except between running and queued: they are recounted afterwards.

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

local execution = records.live(ARGV[4])
local group = execution and examining.group(execution, ARGV[5])
if not group or examining.seal(execution) ~= ARGV[6] then
  return examining.reply(0)
end
local at = 7
local mends = {}

local function text()
  at = at + 1
  return ARGV[at - 1]
end

local function whereOf(start)
  return '[' .. int(group.first) .. ',' .. start .. '] of ' .. execution.id
end

function mends.lost()
  local from, to, told = tonumber(text()), tonumber(text()), text()
  examining.note('items-vanished', whereOf(int(from)), function()
    ranges.enqueue(group, from, to, {})
    if told == 'running' then
      books.move(group, 'running', 'queued', to - from)
    end
    if told == 'running' or told == 'scheduled' then
      journal.tasks(execution, { state = 'queued', text = ranges.textOf({ task = group.first }, from, to), reason = 'lost' })
    end
    ready.offer(group, 1)
  end, to - from)
end

function mends.cut()
  local member = text()
  examining.note('items-twice', whereOf(string.match(member, '^%d+')), function()
    call('ZREM', execution.key .. ':ranges:' .. group.no, member)
  end)
end

function mends.add()
  local from, to = tonumber(text()), tonumber(text())
  if examining.isRepair then
    ranges.enqueue(group, from, to, {})
  end
end

function mends.drop()
  local id = text()
  examining.note('items-twice', id .. ' in ' .. group.lane, function()
    examining.drop(group, 'c', id)
  end)
end

function mends.forget()
  local start = text()
  examining.note('items-twice', whereOf(start), function()
    call('HDEL', execution.key .. ':later', int(group.first) .. ':' .. start)
    call('ZREM', PREFIX .. 'due', 'r:' .. group.no .. ':' .. start .. ':' .. execution.id)
  end)
end

function mends.timer()
  local start = text()
  examining.note('timer-missing', whereOf(start), function()
    local try = call('HGET', execution.key .. ':tries', int(group.first) .. ':' .. start) or ''
    call('ZADD', PREFIX .. 'due', string.match(try, '"notBefore":(%d+)') or int(now),
      'r:' .. group.no .. ':' .. start .. ':' .. execution.id)
  end)
end

while at <= #ARGV do
  mends[text()]()
end
return examining.reply(1)
