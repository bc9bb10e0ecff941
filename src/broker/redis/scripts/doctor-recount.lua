-- Examination of counters: what was counted task by task against what is written, if nothing has moved since.
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] 1: mend, [4] execution, [5] seal (lib/examining.lua), then per group: its number, and
--           its items that are blocked, scheduled, queued, running, completed, failed, skipped
-- Returns   { 'ok', findings (lib/examining.lua), 1 when the seal held }
-- Invariant An execution with nothing left to do ends in the step that finds it.

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
-- @include lib/verification
-- @include lib/claiming
-- @include lib/examining

local execution = records.live(ARGV[4])
if not execution or examining.seal(execution) ~= ARGV[5] then
  return examining.reply(0)
end
local sums = {}

-- Compares the fields of a hash with what was counted, and writes them.
local function compare(name, key, counted, where)
  local row = call('HMGET', key, unpack(examining.STATES))
  for at, state in ipairs(examining.STATES) do
    local known, value = count(row[at]), counted[at]
    if known ~= value then
      local text = state .. ' of ' .. where .. ' is ' .. int(known) .. ', counted ' .. int(value)
      examining.note(name, text, function()
        call('HSET', key, state, int(value))
      end)
    end
  end
end

local function checkRunning(no, running)
  local key = execution.key .. ':running'
  if (call('SISMEMBER', key, no) == 1) ~= (running > 0) then
    examining.note('running-wrong', no .. ':' .. execution.id, function()
      call(running > 0 and 'SADD' or 'SREM', key, no)
    end)
  end
end

for at = 6, #ARGV, 1 + #examining.STATES do
  local group = examining.group(execution, ARGV[at])
  local counted = {}
  for place = 1, #examining.STATES do
    counted[place] = tonumber(ARGV[at + place])
    sums[place] = (sums[place] or 0) + counted[place]
  end
  compare('group-counter-wrong', group.key, counted, 'group ' .. group.lane)
  checkRunning(group.no, counted[4])
end
compare('counter-wrong', execution.key, sums, execution.id)
local row = call('HMGET', execution.key, 'open', 'verifying', 'maxFailures', 'forgiven')
local verifying = call('HLEN', execution.key .. ':verifications')
if count(row[2]) ~= verifying then
  examining.note('counter-wrong', 'verifying of ' .. execution.id, function()
    call('HSET', execution.key, 'verifying', verifying)
  end)
end
local isOver = books.isOver(sums[6], row[3], row[4])
if isOver or (row[1] ~= '1' and sums[1] + sums[2] + sums[3] + sums[4] + verifying == 0) then
  examining.note('unended', execution.id, function()
    books.touch(execution)
  end)
end
return examining.reply(1)
