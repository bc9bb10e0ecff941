-- Transition signal: the execution gets a named value, once; tasks that wait for it are queued.
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] execution, [4] signal, [5] payload (JSON), [6] most signals of an execution
-- Returns   { 'ok', accepted (0|1), tasks that go on because of it }, { 'EXECUTION_NOT_FOUND' }, { 'EXECUTION_ENDED', state } or
--           { 'FULL', signals that there would be }
-- Invariant The first payload stays. The same again is accepted and changes nothing, also when the execution has ended by it.

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

local execution = records.execution(ARGV[3])
if not execution or call('HGET', execution.key, 'purged') then
  return { 'EXECUTION_NOT_FOUND' }
end
local key, signal, payload = execution.key .. ':signals', ARGV[4], ARGV[5]
local known = call('HGET', key, signal)
if known == payload then
  return { 'ok', 1, 0 }
elseif execution.isEnded then
  return { 'EXECUTION_ENDED', execution.state }
elseif known then
  return { 'ok', 0, 0 }
end
local signals = call('HLEN', key) + 1
if signals > tonumber(ARGV[6]) then
  return { 'FULL', signals }
end
call('HSET', key, signal, payload)
local released = suspending.signal(execution, signal)
finishScript()
return { 'ok', 1, released }
