-- Tasks that have suspended themselves: what they wait for, and what they find when they go on.
--
-- `suspended` tells of each its latest suspension (JSON): `kind` (delay, signal, tasks), `signal`, `isTimed` (it waits no longer
-- than a time), `first` and `count` of the tasks that it added, and `woken` (time, signal, tasks) once it goes on. `resumes`
-- holds the worker's text. Both stay as long as the task may run again: a later attempt finds the same.
--
-- It waits where other tasks wait: in `later` for a time, in `blocked` for tasks, or for a signal, which counts as one more
-- parent unless it is timed. What waits for a signal stands in `awaiting` as SIGNAL␟TASK, too. Tasks that it added are
-- parents like others, but have higher numbers, and are told of by `suspended` and their `children` only; those of earlier
-- suspensions are none.

local PAGE = 1000

local function keyOf(execution, name)
  return execution.key .. ':' .. name
end

-- The latest suspension of a task, or nil.
function suspending.of(execution, task)
  local text = execution.suspends and call('HGET', keyOf(execution, 'suspended'), int(task))
  return text and cjson.decode(text) or nil
end

local function write(execution, task, record)
  call('HSET', keyOf(execution, 'suspended'), int(task), cjson.encode(record))
  if not execution.suspends then
    execution.suspends = true
    call('HSET', execution.key, 'suspends', '1')
  end
end

-- Whether it waits for a signal that has not come.
function suspending.awaits(record)
  return record ~= nil and record.kind == 'signal' and not record.woken
end

local function isThere(execution, record)
  return suspending.awaits(record) and call('HEXISTS', keyOf(execution, 'signals'), record.signal) == 1
end

-- Its signal counts among what it waits for, unless it is there, or is not waited for longer than a time: 1 or 0.
function suspending.counts(execution, record)
  return suspending.awaits(record) and not record.isTimed and not isThere(execution, record) and 1 or 0
end

-- Whether its signal has come, so that it waits for no time.
function suspending.hasCome(execution, task)
  local record = suspending.of(execution, task)
  return record ~= nil and (record.woken == 'signal' or isThere(execution, record))
end

-- ── What it has added ───────────────────────────────────────────────────────────────────────────

-- Calls `visit` with each task that it has added.
function suspending.eachAdded(record, visit)
  if record and record.kind == 'tasks' then
    for task = record.first, record.first + record.count - 1 do
      visit(task)
    end
  end
end

-- Parents of a task (JSON, nil for none) with those that it has added.
function suspending.parents(record, parents)
  if not (record and record.kind == 'tasks') then
    return parents
  end
  local texts = {}
  suspending.eachAdded(record, function(task)
    texts[#texts + 1] = int(task)
  end)
  local own = parents and string.sub(parents, 2, -2) or ''
  return '[' .. (own ~= '' and own .. ',' or '') .. table.concat(texts, ',') .. ']'
end

-- Calls `change` with the children of each task that it has added, a page at a time, and writes those that it returns; nil for
-- none.
local function eachChildren(execution, record, change)
  local key = keyOf(execution, 'children')
  local last = record and record.kind == 'tasks' and record.first + record.count - 1 or -1
  for from = last < 0 and 0 or record.first, last, PAGE do
    local names, written, gone = {}, {}, {}
    for task = from, math.min(last, from + PAGE - 1) do
      names[#names + 1] = int(task)
    end
    for at, known in ipairs(call('HMGET', key, unpack(names))) do
      local children = change(known or '')
      if children then
        written[#written + 1] = names[at]
        written[#written + 1] = children
      elseif known then
        gone[#gone + 1] = names[at]
      end
    end
    if #written > 0 then
      call('HSET', key, unpack(written))
    end
    if #gone > 0 then
      call('HDEL', key, unpack(gone))
    end
  end
end

-- The task waits for all that it has added.
local function link(execution, task, record)
  eachChildren(execution, record, function(known)
    return known ~= '' and known .. ',' .. int(task) or int(task)
  end)
end

-- What it has added are its parents no more.
local function unlink(execution, task, record)
  local name = int(task)
  eachChildren(execution, record, function(known)
    local left = {}
    for child in string.gmatch(known, '%d+') do
      left[#left + 1] = child ~= name and child or nil
    end
    return #left > 0 and table.concat(left, ',') or nil
  end)
end

-- How much of what the suspension waits for has not come, and whether some of it never will.
function suspending.open(execution, record)
  local open, isDead = suspending.counts(execution, record), false
  suspending.eachAdded(record, function(task)
    local state = dependents.parentState(execution, int(task))
    open = open + (state == 'open' and 1 or 0)
    isDead = isDead or state == 'dead'
  end)
  return open, isDead
end

-- ── Going to sleep ──────────────────────────────────────────────────────────────────────────────

local function awaitNoMore(execution, task, record)
  if record.kind == 'signal' then
    call('ZREM', keyOf(execution, 'awaiting'), record.signal .. UNIT .. int(task))
  end
end

-- The task is blocked, or scheduled: it waits for its signal, too, if that has not come.
function suspending.await(execution, task)
  local record = suspending.of(execution, task)
  if suspending.awaits(record) then
    call('ZADD', keyOf(execution, 'awaiting'), 0, record.signal .. UNIT .. int(task))
  end
end

-- It waits no more: it was taken out of where it stood.
function suspending.leave(execution, task)
  local record = suspending.of(execution, task)
  if record then
    awaitNoMore(execution, task, record)
  end
end

-- The running task is blocked. `open`: how much it waits for.
local function block(lease, how, open)
  local execution = lease.group.execution
  leases.writeBlocked(lease, how, open + (leases.isHeld(execution, lease.task) and 1 or 0))
  books.move(lease.group, 'running', 'blocked', 1)
  journal.tasks(execution, { state = 'blocked', text = int(lease.task), reason = 'suspended' })
end

local wait = {}

function wait.delay(lease, how, one)
  if how.suspension.woken then
    leases.requeueTask(lease, how)
    return
  end
  how.notBefore = now + one.delayMs
  leases.scheduleTask(lease, how)
end

function wait.signal(lease, how, one)
  if how.suspension.woken then
    how.reason = 'signal'
    leases.requeueTask(lease, how)
  elseif one.timeoutMs then
    how.notBefore = now + one.timeoutMs
    leases.scheduleTask(lease, how)
  else
    block(lease, how, 1)
  end
end

function wait.tasks(lease, how, one)
  local execution = lease.group.execution
  local record = how.suspension
  record.first, record.count = submitting.append(execution, one.groups)
  if not execution.isLinked then
    execution.isLinked = true
    call('HSET', execution.key, 'linked', '1')
  end
  link(execution, lease.task, record)
  write(execution, lease.task, record)
  block(lease, how, record.count)
end

-- MAX_TASKS_PER_EXECUTION and OPEN_AGAIN_MS of src/broker/limits.ts.
local MOST_TASKS, OPEN_AGAIN_MS = 16777215, 250

-- The next numbers of an open execution are its submitter's: the task is run again later, as if it had been handed back.
local function putOff(lease)
  leases.scheduleTask(lease, {
    attempt = lease.attempt - 1, failures = lease.failures, losses = lease.losses, ended = lease.ended, as = 'suspended',
    reason = 'suspended', failure = leases.lastFailure(lease), notBefore = now + OPEN_AGAIN_MS,
  })
end

-- Why the task cannot add what it wants to, or nil.
function suspending.problem(lease, one)
  local total = count(call('HGET', lease.group.execution.key, 'nextTask'))
  for _, definition in ipairs(one.groups or {}) do
    total = total + definition.tasks
  end
  if one.groups and total > MOST_TASKS then
    return 'The execution would have ' .. int(total) .. ' tasks; the limit is ' .. MOST_TASKS .. '.'
  end
end

-- The running task goes to sleep; its entry must have been dropped. `one`: awakening (delay, signal, tasks), values (the
-- worker's text), delayMs, signal, timeoutMs, groups (as lib/submitting.lua reads them).
function suspending.suspend(lease, one)
  local execution = lease.group.execution
  if one.groups and call('HGET', execution.key, 'open') == '1' then
    putOff(lease)
    return
  end
  unlink(execution, lease.task, suspending.of(execution, lease.task))
  local how = {
    attempt = lease.attempt, failures = lease.failures, losses = lease.losses, ended = lease.ended, as = 'suspended',
    reason = 'suspended', failure = leases.lastFailure(lease),
    suspension = { kind = one.awakening, signal = one.signal, isTimed = one.timeoutMs and true or nil },
  }
  if one.signal and call('HEXISTS', keyOf(execution, 'signals'), one.signal) == 1 then
    how.suspension.woken = 'signal'
  elseif one.delayMs == 0 then
    how.suspension.woken = 'time'
  end
  call('HSET', keyOf(execution, 'resumes'), int(lease.task), one.values)
  write(execution, lease.task, how.suspension)
  wait[one.awakening](lease, how, one)
end

-- ── Going on ────────────────────────────────────────────────────────────────────────────────────

-- The task goes on, because of `what` (time, signal, tasks), or of its signal, if that came while it could not be told.
function suspending.wake(execution, task, what)
  local record = suspending.of(execution, task)
  if record and not record.woken then
    awaitNoMore(execution, task, record)
    record.woken = (what == 'tasks' and isThere(execution, record)) and 'signal' or what
    write(execution, task, record)
  end
end

-- The task has run on, and waits again for what it has added.
function suspending.sleepAgain(execution, task)
  local record = suspending.of(execution, task)
  record.woken = nil
  write(execution, task, record)
end

-- What a task that goes on finds, for its lease: { first and count of the tasks that it waited for ('' for none), the
-- worker's text, payload of the signal ('' for none) }; '' for one that has not suspended itself. And its suspension.
function suspending.resumption(execution, task)
  local record = suspending.of(execution, task)
  if not record then
    return ''
  end
  local payload = record.woken == 'signal' and call('HGET', keyOf(execution, 'signals'), record.signal)
  local hasAdded = record.kind == 'tasks'
  return {
    hasAdded and int(record.first) or '', hasAdded and int(record.count) or '',
    call('HGET', keyOf(execution, 'resumes'), int(task)) or 'null', payload or '',
  }, record
end

-- A task that waits for the signal goes on: whether it did.
local function signalTask(execution, task)
  local record = suspending.of(execution, task)
  if not suspending.awaits(record) then
    return false
  end
  if call('HEXISTS', keyOf(execution, 'later'), int(task)) == 1 then
    local group = records.groupOfTask(execution, task)
    call('ZREM', PREFIX .. 'due', 't:' .. group.no .. ':' .. int(task) .. ':' .. execution.id)
    suspending.wake(execution, task, 'signal')
    later.queue(execution, int(task), 'signal')
    return true
  end
  -- What has a time, and stands here, is kept by something else, and its time may be over.
  local content = record.isTimed and call('HGET', keyOf(execution, 'blocked'), int(task))
  local notBefore = content and cjson.decode(content)[6]
  suspending.wake(execution, task, notBefore and notBefore <= now and 'time' or 'signal')
  return not record.isTimed and dependents.arrived(execution, int(task), 'signal')
end

-- Tasks that wait for the signal.
local function whoAwait(execution, signal)
  local found = {}
  local key, prefix = keyOf(execution, 'awaiting'), signal .. UNIT
  for _, member in ipairs(call('ZRANGEBYLEX', key, '[' .. prefix, '(' .. signal .. ' ')) do
    -- Another name may begin like this one and go on after the same separator.
    local task = string.match(string.sub(member, #prefix + 1), '^%d+$')
    found[#found + 1] = task and tonumber(task)
  end
  table.sort(found)
  return found
end

-- The signal has come: how many tasks go on because of it.
function suspending.signal(execution, signal)
  local released = 0
  for _, task in ipairs(whoAwait(execution, signal)) do
    released = released + (signalTask(execution, task) and 1 or 0)
  end
  return released
end

-- ── Forgetting ──────────────────────────────────────────────────────────────────────────────────

-- The task starts from the beginning. Returns what it had added, ascending.
function suspending.forget(execution, task)
  local record = suspending.of(execution, task)
  if not record then
    return {}
  end
  local added = {}
  awaitNoMore(execution, task, record)
  unlink(execution, task, record)
  suspending.eachAdded(record, function(one)
    added[#added + 1] = one
  end)
  call('HDEL', keyOf(execution, 'suspended'), int(task))
  call('HDEL', keyOf(execution, 'resumes'), int(task))
  return added
end

-- Tasks, by name, have ended well: the worker's texts are needed no more, unless they may be run again.
function suspending.complete(execution, tasks)
  if execution.suspends and not execution.keepsInputs then
    for from = 1, #tasks, PAGE do
      call('HDEL', keyOf(execution, 'resumes'), unpack(tasks, from, math.min(#tasks, from + PAGE - 1)))
    end
  end
end
