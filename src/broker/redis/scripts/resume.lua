-- Transition resume: claims of a paused execution go on (promise 6).
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] execution
-- Returns   { 'ok' }, { 'EXECUTION_NOT_FOUND' } or { 'EXECUTION_ENDED', state }
-- Invariant Every group of it that has work is in the order of its pool.

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
if execution.state == 'paused' then
  call('HDEL', execution.key, 'pausedAt', 'pausedBy')
  books.changeState(execution, execution.started and 'running' or 'pending')
  for no = 0, execution.groups - 1 do
    local group = records.group(execution, no)
    local queued = count(call('HGET', group.key, 'queued'))
    if queued > 0 then
      ready.offerAll(group, queued)
    end
    ready.wake(group, verification.waiting(group))
  end
end
finishScript()
return { 'ok' }
