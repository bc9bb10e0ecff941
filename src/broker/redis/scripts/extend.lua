-- Transition extend: one more part of an open execution.
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] most waiting tasks of a pool, [4] execution, [5] part, [6] seal (0|1),
--           [7] groups, then the groups as lib/submitting.lua reads them
-- Returns   { 'ok', total (items) } — also for a part that was taken before — or { 'EXECUTION_NOT_FOUND' },
--           { 'EXECUTION_ENDED', state }, { 'EXECUTION_SEALED' }, { 'PART', the next part },
--           { 'RESCUES', maxFailures ('' for none), first task and count of each group of rescue tasks … } when these rule it out,
--           { 'QUEUE_FULL', pool, depth }
-- Invariant Parts are taken in order and once.

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
-- @include lib/submitting

local STATES = { 'blocked', 'scheduled', 'queued', 'running', 'completed', 'failed', 'skipped' }

local function total(execution)
  books.flush()
  local sum = 0
  for _, value in ipairs(call('HMGET', execution.key, unpack(STATES))) do
    sum = sum + count(value)
  end
  return int(sum)
end

local execution = records.execution(ARGV[4])
if not execution then
  return { 'EXECUTION_NOT_FOUND' }
end
local row = call('HMGET', execution.key, 'open', 'parts')
local part, parts = tonumber(ARGV[5]), count(row[2])
if part <= parts then
  return { 'ok', total(execution) }
end
if execution.isEnded then
  return { 'EXECUTION_ENDED', execution.state }
end
if row[1] ~= '1' then
  return { 'EXECUTION_SEALED' }
end
if part ~= parts + 1 then
  return { 'PART', parts + 1 }
end
submitting.start(7)
local groups = submitting.groups(tonumber(submitting.text()))
local maxFailures, spans = submitting.ruledOut(execution, groups)
if maxFailures then
  return { 'RESCUES', maxFailures, unpack(spans) }
end
local pool, depth = submitting.fullPool({ { groups = groups } }, tonumber(ARGV[3]))
if pool then
  return { 'QUEUE_FULL', pool, depth }
end
call('HSET', execution.key, 'parts', part, 'open', ARGV[6] == '1' and '0' or '1')
books.touch(execution)
submitting.add(execution, groups)
local sum = total(execution)
finishScript()
return { 'ok', sum }
