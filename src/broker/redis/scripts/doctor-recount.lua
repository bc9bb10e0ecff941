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
-- @include lib/suspending
-- @include lib/verification
-- @include lib/claiming
-- @include lib/examining

local execution = records.live(ARGV[4])
if not execution or examining.seal(execution) ~= ARGV[5] then
  return examining.reply(0)
end
local sums, passed = {}, 0

-- Compares the fields of a hash with what was counted, and writes them.
local function compare(name, record, counted, where)
  local row = call('HMGET', record.key, unpack(examining.STATES))
  for at, state in ipairs(examining.STATES) do
    local known, value = count(row[at]), counted[at]
    if known ~= value then
      local text = state .. ' of ' .. where .. ' is ' .. int(known) .. ', counted ' .. int(value)
      examining.note(name, text, function()
        call('HSET', record.key, state, int(value))
        record.counts[state] = value
      end)
    end
  end
end

-- Groups with leases are in the set; those that had some may be.
local function checkRunning(group, running)
  local key = execution.key .. ':running'
  if running > 0 and call('SISMEMBER', key, group.no) == 0 then
    examining.note('running-wrong', group.lane, function()
      call('SADD', key, group.no)
      call('HSET', group.key, 'ran', '1')
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
  passed = passed + (group.passes and counted[6] or 0)
  compare('group-counter-wrong', group, counted, 'group ' .. group.lane)
  checkRunning(group, counted[4])
end
compare('counter-wrong', execution, sums, execution.id)
local row = call('HMGET', execution.key, 'open', 'verifying', 'maxFailures', 'forgiven', 'passed')
if count(row[5]) ~= passed then
  examining.note('counter-wrong', 'passed of ' .. execution.id, function()
    call('HSET', execution.key, 'passed', passed)
    execution.counts.passed = passed
  end)
end
local verifying = call('HLEN', execution.key .. ':verifications')
if count(row[2]) ~= verifying then
  examining.note('counter-wrong', 'verifying of ' .. execution.id, function()
    call('HSET', execution.key, 'verifying', verifying)
  end)
end
local isOver = books.isOver(sums[6] - passed, row[3], row[4])
local left = sums[1] + sums[2] + sums[3] + sums[4] + verifying
-- Rescue tasks alone do not wait for anything any more.
local rescues = execution.hasRescue and call('SCARD', execution.key .. ':rescue') or 0
if isOver or (row[1] ~= '1' and left == rescues) then
  examining.note('unended', execution.id, function()
    books.touch(execution)
  end)
end
return examining.reply(1)
