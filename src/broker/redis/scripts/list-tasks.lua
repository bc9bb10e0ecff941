-- List tasks: what each task of a part of an execution is at.
--
-- A task's state stands where its work is (lib/whereabouts.lua). What is nowhere was cancelled with its execution.
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] execution, [4] first task, [5] most tasks to look at, [6] 1: with children
-- Returns   { 'ok', next task to look at ('' at the end), row, row … }: a row is as
--           lib/whereabouts.lua makes it, with the task's children (JSON numbers without brackets) at its end where they were asked for
-- Invariant Each task of the part is in exactly one state.

-- @include lib/shard
-- @include lib/records
-- @include lib/whereabouts

local execution = records.execution(ARGV[3])
if not execution then
  return { 'EXECUTION_NOT_FOUND' }
end
local from, budget = tonumber(ARGV[4]), tonumber(ARGV[5])
local reply = { 'ok', '' }

local hasChildren = ARGV[6] == '1' and not execution.isEnded

-- `tasks`: of the last rows.
local function addChildren(tasks)
  local found = call('HMGET', execution.key .. ':children', unpack(tasks))
  for at, children in ipairs(found) do
    local row = reply[#reply - #tasks + at]
    row[#row + 1] = children or ''
  end
end

local function addTasks(group, first, last)
  local facts = whereabouts.read(group, first, last)
  for _, task in ipairs(facts.tasks) do
    reply[#reply + 1] = whereabouts.taskRow(group, task, facts)
  end
  if hasChildren then
    addChildren(facts.tasks)
  end
end

local total = count(call('HGET', execution.key, 'nextTask'))
while from < total and budget > 0 do
  local group = records.groupOfTask(execution, from)
  if group.length then
    reply[#reply + 1] = whereabouts.arrayRow(group)
    if hasChildren then
      addChildren({ int(from) })
    end
    from, budget = from + 1, budget - 1
  else
    local last = math.min(group.first + group.count, from + budget) - 1
    addTasks(group, from, last)
    budget = budget - (last - from + 1)
    from = last + 1
  end
end
if from < total then
  reply[2] = int(from)
end
return reply
