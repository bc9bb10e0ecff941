-- Transition rerun: a task and all that comes after it lose what they have and run again, in order.
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] execution, [4] task, [5] most tasks of one call, [6] the last task of the call
--           before ('' in the first)
-- Returns   { 'ok', tasks that will be run again, the last one looked at ('' at the end) }, { 'EXECUTION_NOT_FOUND' }, { 'EXECUTION_CANCELLED' },
--           { 'INPUTS_NOT_KEPT' }, { 'TASK_UNKNOWN' }, { 'ARRAY' }, { 'REMOVED' } or { 'HELD_UP' } by a dead letter
-- Invariant Parents are taken back before their children, so that each child finds the state that its parents have now.

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
-- @include lib/replaying
-- @include lib/whereabouts
-- @include lib/undoing

local execution = records.execution(ARGV[3])
local task = tonumber(ARGV[4])
if not execution or call('HGET', execution.key, 'purged') then
  return { 'EXECUTION_NOT_FOUND' }
elseif execution.state == 'cancelled' then
  return { 'EXECUTION_CANCELLED' }
elseif not execution.keepsInputs then
  return { 'INPUTS_NOT_KEPT' }
elseif task >= count(call('HGET', execution.key, 'nextTask')) then
  return { 'TASK_UNKNOWN' }
elseif records.groupOfTask(execution, task).length then
  return { 'ARRAY' }
end
local isRescue = records.groupOfTask(execution, task).isRescue
local _, parents = replaying.inputOf(execution, task)
local _, isHeldUp = replaying.openParents(execution, parents)
local isFirst = ARGV[6] == ''
if isFirst and replaying.isRemoved(call('HGET', execution.key .. ':tries', int(task)) or '') then
  return { 'REMOVED' }
end
if isFirst and isHeldUp and not isRescue then
  return { 'HELD_UP' }
end
replaying.reopen(execution, 'rerun')
local tasks, last, all = undoing.descendants(execution, task, isFirst and -1 or tonumber(ARGV[6]), tonumber(ARGV[5]))
local reset = undoing.reset(execution, tasks, { first = task, all = all })
replaying.forgive(execution)
letters.tidy(execution)
finishScript()
return { 'ok', reset, last }
