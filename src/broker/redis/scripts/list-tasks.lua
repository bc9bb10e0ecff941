-- List tasks: what each task of a part of an execution is at.
--
-- A task's state stands where its work is: completed in `results`, told of in `tries`, blocked in `blocked`, else in one of
-- its group's streams, where a pending entry runs. What is nowhere any more was cancelled with its execution.
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] execution, [4] first task, [5] most tasks to look at
-- Returns   { 'ok', next task to look at ('' at the end), row, row … }: a row is
--           { 'array', task, group, fields … } or { 'task', task, group, state, worker, try (JSON), result record }
-- Invariant Each task of the part is in exactly one state.

-- @include lib/shard
-- @include lib/records

local execution = records.execution(ARGV[3])
if not execution then
  return { 'EXECUTION_NOT_FOUND' }
end
local from, budget = tonumber(ARGV[4]), tonumber(ARGV[5])
local reply = { 'ok', '' }

local function workerOf(session)
  return call('HGET', PREFIX .. 'session:' .. session, 'worker') or session
end

-- The pending entries of a stream among the first to the last id: id → worker.
local function pendingOf(group, kind, first, last)
  local owners = {}
  if group.has[records.STREAMS[kind]] then
    for _, entry in ipairs(call('XPENDING', records.streamKey(group, kind), group.pool, first, last, 10000)) do
      owners[entry[1]] = workerOf(entry[2])
    end
  end
  return owners
end

local function againOwner(group, entry)
  local kind, id = string.sub(entry, 1, 1), string.sub(entry, 2)
  if not group.has[records.STREAMS[kind]] then
    return nil
  end
  local found = call('XPENDING', records.streamKey(group, kind), group.pool, id, id, 1)[1]
  return found and workerOf(found[2])
end

local function stateOfTry(group, try)
  local state = string.match(try, '"state":"(%a+)"')
  local entry = string.match(try, '"entry":"([^"]+)"')
  local worker = string.match(try, '"worker":"([^"]+)"') or ''
  local owner = state == 'queued' and entry and againOwner(group, entry)
  if owner then
    return 'running', owner
  end
  return state, worker
end

local function rowOf(group, task, facts)
  local result, try = facts.results[task], facts.tries[task]
  local state, worker = 'gone', ''
  if result then
    state = 'completed'
  elseif try then
    state, worker = stateOfTry(group, try)
  elseif facts.blocked[task] then
    state = 'blocked'
  elseif facts.owners[task .. '-1'] then
    state, worker = 'running', facts.owners[task .. '-1']
  elseif facts.waiting[task] then
    state = 'queued'
  end
  return { 'task', task, group.no, state, worker, try or '', result or '' }
end

local function lookup(key, tasks)
  local found = {}
  for at, value in ipairs(call('HMGET', key, unpack(tasks))) do
    found[tasks[at]] = value
  end
  return found
end

local function addTasks(group, first, last)
  local tasks = {}
  for task = first, last do
    tasks[#tasks + 1] = int(task)
  end
  local facts = {
    results = lookup(execution.key .. ':results', tasks),
    tries = lookup(execution.key .. ':tries', tasks),
    blocked = lookup(execution.key .. ':blocked', tasks),
    owners = pendingOf(group, 'q', int(first) .. '-1', int(last) .. '-1'),
    waiting = {},
  }
  if group.has.queue then
    -- What was handed out and answered may still lie in the stream.
    local waitingFrom = math.max(first, records.lastDelivered(group) + 1)
    for _, entry in ipairs(call('XRANGE', records.streamKey(group, 'q'), int(waitingFrom) .. '-1', int(last) .. '-1')) do
      facts.waiting[string.match(entry[1], '^%d+')] = true
    end
  end
  for _, task in ipairs(tasks) do
    reply[#reply + 1] = rowOf(group, task, facts)
  end
end

local ARRAY = { 'blocked', 'scheduled', 'queued', 'running', 'completed', 'failed', 'skipped' }

local function addArray(group)
  local row = { 'array', int(group.first), group.no }
  for _, value in ipairs(call('HMGET', group.key, unpack(ARRAY))) do
    row[#row + 1] = value or '0'
  end
  reply[#reply + 1] = row
end

local total = count(call('HGET', execution.key, 'nextTask'))
while from < total and budget > 0 do
  local group = records.groupOfTask(execution, from)
  if group.length then
    addArray(group)
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
