-- Transition pause: no new claims of an execution; running attempts finish (promise 6).
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] execution, [4] who wants it ('' for nobody named)
-- Returns   { 'ok' }, { 'EXECUTION_NOT_FOUND' } or { 'EXECUTION_ENDED', state }
-- Invariant None of its groups is in the order of its pool. Who paused it first is remembered.

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

local execution = records.execution(ARGV[3])
if not execution then
  return { 'EXECUTION_NOT_FOUND' }
elseif execution.isEnded then
  return { 'EXECUTION_ENDED', execution.state }
end
for no = 0, execution.groups - 1 do
  ready.withdraw(records.group(execution, no))
end
if execution.state ~= 'paused' then
  call('HSET', execution.key, 'pausedAt', int(now), 'pausedBy', ARGV[4])
end
books.changeState(execution, 'paused')
finishScript()
return { 'ok' }
