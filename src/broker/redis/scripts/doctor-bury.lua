-- Examination of tasks: those that have vanished become dead letters, so that their execution can end.
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] 1: mend, [4] execution, then per task: its number, the state that its events tell
--           ('' when they tell nothing)
-- Returns   { 'ok', findings (lib/examining.lua) }
-- Invariant What is found again in the meantime is left alone. The events go from what they told to `failed` by legal steps.

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
-- @include lib/whereabouts

local FAILURE = '{"class":"unknown","code":"TASK_VANISHED","message":"Nothing is left of this task in Redis: it was lost with'
  .. ' data of the server. Submit it again."}'
-- States to tell of before `failed`, by the last one told.
local STEPS = { [''] = { 'running' }, blocked = { 'queued', 'running' }, scheduled = { 'queued', 'running' }, queued = { 'running' },
  running = {} }

local execution = records.live(ARGV[4])

local function bury(group, task, told)
  for _, state in ipairs(STEPS[told] or {}) do
    journal.tasks(execution, { state = state, text = task })
  end
  local lease = { group = group, task = tonumber(task), attempt = 0, failures = 0, losses = 0 }
  local was = told
  if told == '' then
    was = group.notBefore and 'scheduled' or 'queued'
  end
  books.move(group, was, 'running', 1)
  leases.buryTask(lease, { failures = 0, losses = 0, failure = FAILURE })
end

for at = 5, execution and #ARGV or 0, 2 do
  local task, told = ARGV[at], ARGV[at + 1]
  local group = examining.group(execution, records.groupOfTask(execution, tonumber(task)).no)
  if group and whereabouts.of(group, task, whereabouts.read(group, tonumber(task), tonumber(task))) == 'vanished' then
    examining.note('task-vanished', task .. ' of ' .. execution.id, function()
      bury(group, task, told)
    end)
  end
end
return examining.reply()
