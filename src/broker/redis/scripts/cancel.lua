-- Transition cancel: ends an execution now (promise 6).
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] execution, [4] reason
-- Returns   { 'ok' } — also for one that was cancelled before — { 'EXECUTION_NOT_FOUND' } or { 'EXECUTION_ENDED', state }
-- Invariant No lease of it counts afterwards; the workers that held one are told.

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
elseif execution.isEnded and execution.state ~= 'cancelled' then
  return { 'EXECUTION_ENDED', execution.state }
elseif not execution.isEnded then
  books.finish(execution, 'cancelled', ARGV[4] ~= '' and ARGV[4] or nil)
end
finishScript()
return { 'ok' }
