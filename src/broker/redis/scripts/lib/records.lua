-- Executions, groups and sessions as this script sees them: read once, kept for its duration.

eachCall(function()
  records.executions = {}
  records.groups = {}
  records.sessions = {}
end)

local STATES = { 'blocked', 'scheduled', 'queued', 'running', 'completed', 'failed', 'skipped' }

records.STATES = STATES

-- Items by state, as they were when this script read them: only books.lua changes them. From the values that follow
-- `row[at]`.
local function readCounts(row, at)
  local counts = {}
  for place, state in ipairs(STATES) do
    counts[state] = count(row[at + place])
  end
  return counts
end

local function noCounts()
  local counts = readCounts({}, 0)
  counts.passed = 0
  return counts
end

-- The execution, or false when there is none.
function records.execution(id)
  local known = records.executions[id]
  if known ~= nil then
    return known
  end
  local key = PREFIX .. 'exec:' .. id
  local row = call('HMGET', key, 'state', 'priority', 'linked', 'groups', 'started', 'retentionMs', 'verify', 'ended',
    'keepInputs', 'ranked', 'rescue', 'suspends', 'holds', 'passed', unpack(STATES))
  local execution = false
  if row[1] then
    execution = {
      id = id,
      key = key,
      state = row[1],
      priority = tonumber(row[2]),
      isLinked = row[3] == '1',
      groups = count(row[4]),
      started = row[5],
      retentionMs = count(row[6]),
      isVerified = row[7] ~= false,
      isEnded = row[8] ~= false,
      keepsInputs = row[9] == '1',
      isRanked = row[10] == '1',
      hasRescue = row[11] == '1',
      suspends = row[12] == '1',
      holds = row[13] == '1',
      counts = readCounts(row, 14),
      deltas = {},
    }
    execution.counts.passed = count(row[14])
  end
  records.executions[id] = execution
  return execution
end

-- One that is being made, with the tasks and groups that are added to it in the same step.
function records.newExecution(submission)
  local execution = {
    id = submission.id, key = PREFIX .. 'exec:' .. submission.id, isNew = true, state = 'pending',
    priority = tonumber(submission.priority), isLinked = false, groups = 0, nextTask = 0, started = false,
    retentionMs = count(submission.retentionMs), isVerified = submission.verify ~= '', isEnded = false,
    keepsInputs = submission.keepInputs == '1', isRanked = false, hasRescue = false, suspends = false,
    holds = false, counts = noCounts(), deltas = {},
  }
  records.executions[submission.id] = execution
  return execution
end

-- The fields of a new execution's hash that every transition reads. A small hash is looked through from its start, and to
-- its end for what is not there: so they come first, and all of them are there.
function records.startFields(execution, groups)
  local fields = {
    'state', execution.state, 'priority', execution.priority, 'linked', execution.isLinked and '1' or '0', 'groups', groups,
    'retentionMs', int(execution.retentionMs), 'keepInputs', execution.keepsInputs and '1' or '0',
    'ranked', execution.isRanked and '1' or '0', 'rescue', execution.hasRescue and '1' or '0', 'suspends', '0', 'holds', '0',
    'passed', '0',
  }
  for _, state in ipairs(STATES) do
    fields[#fields + 1] = state
    fields[#fields + 1] = '0'
  end
  return fields
end

-- An execution that has not ended, or false.
function records.live(id)
  local execution = records.execution(id)
  return execution and not execution.isEnded and execution
end

function records.group(execution, no)
  no = tostring(no)
  local key = execution.key .. ':group:' .. no
  local known = records.groups[key]
  if known then
    return known
  end
  local row = call(
    'HMGET', key, 'pool', 'requires', 'first', 'count', 'length', 'maxInput', 'notBefore', 'timeoutMs', 'maxLosses',
    'queue', 'again', 'chunks', 'linked', 'cursor', 'specBytes',
    'ranked', 'passes', 'rescue', 'ran', unpack(STATES)
  )
  local group = {
    execution = execution,
    no = no,
    key = key,
    lane = no .. ':' .. execution.id,
    pool = row[1],
    requires = row[2],
    first = tonumber(row[3]),
    count = tonumber(row[4]),
    length = row[5] and tonumber(row[5]),
    maxInput = count(row[6]),
    notBefore = row[7] and tonumber(row[7]),
    timeoutMs = row[8] and tonumber(row[8]),
    maxLosses = count(row[9]),
    -- The streams go with the end of their execution.
    has = {
      queue = row[10] == '1' and not execution.isEnded,
      again = row[11] == '1' and not execution.isEnded,
      chunks = row[12] == '1' and not execution.isEnded,
    },
    isLinked = row[13] == '1',
    cursor = count(row[14]),
    specBytes = count(row[15]),
    isRanked = row[16] == '1',
    passes = row[17] == '1',
    isRescue = row[18] == '1',
    hasRun = row[19] == '1',
    counts = readCounts(row, 19),
    deltas = {},
  }
  records.groups[key] = group
  return group
end

-- One that has just been written. `facts`: first (task), notBefore (nil for none), hasQueue.
function records.newGroup(execution, definition, facts)
  local no = tostring(execution.groups)
  local group = {
    execution = execution, no = no, key = execution.key .. ':group:' .. no, lane = no .. ':' .. execution.id,
    pool = definition.pool, requires = definition.requires, first = facts.first, count = tonumber(definition.tasks),
    length = tonumber(definition.length), maxInput = count(definition.maxInput), notBefore = facts.notBefore,
    timeoutMs = tonumber(definition.timeoutMs), maxLosses = count(definition.maxLosses),
    has = { queue = facts.hasQueue, again = false, chunks = false }, isLinked = definition.isLinked, cursor = 0,
    specBytes = #definition.spec, isRanked = execution.isRanked and not definition.length, passes = definition.passes == '1',
    isRescue = definition.isRescue, hasRun = false, counts = noCounts(), deltas = {},
  }
  records.groups[group.key] = group
  return group
end

-- The group that holds a task of the execution.
function records.groupOfTask(execution, task)
  if execution.groups <= 1 then
    return records.group(execution, 0)
  end
  -- Tasks that are asked for one after the other are mostly of one group.
  local number, last = tonumber(task), execution.lastGroup
  if last and number >= last.first and number < last.first + last.count then
    return last
  end
  local found = call('ZREVRANGEBYSCORE', execution.key .. ':groups', task, '-inf', 'LIMIT', 0, 1)
  execution.lastGroup = records.group(execution, found[1])
  return execution.lastGroup
end

-- A live session, or false.
function records.session(id)
  local known = records.sessions[id]
  if known ~= nil then
    return known
  end
  local key = PREFIX .. 'session:' .. id
  local row = call('HMGET', key, 'no', 'worker', 'pools', 'capabilities', 'state', 'orders',
    'standby')
  local session = false
  if row[1] and (row[5] == 'live' or row[5] == 'draining') then
    session = {
      id = id,
      key = key,
      no = row[1],
      worker = row[2],
      pools = splitUnits(row[3]),
      capabilities = row[4],
      isDraining = row[5] == 'draining',
      orders = count(row[6]),
      held = {},
      completed = 0,
      standby = {},
    }
    for _, pool in ipairs(row[7] and splitUnits(row[7]) or {}) do
      session.standby[pool] = true
    end
  end
  records.sessions[id] = session
  return session
end

-- The session has said something: it lives.
function records.seen(session)
  call('ZADD', PREFIX .. 'sessions', int(now), session.id)
end

-- The streams of a group: tasks that were never handed out; tasks that came back, or were released; chunks,
-- which are added only to be handed out in the same step.
records.STREAMS = { q = 'queue', a = 'again', c = 'chunks' }
records.KINDS = { 'q', 'a', 'c' }

function records.streamKey(group, kind)
  return group.execution.key .. ':' .. records.STREAMS[kind] .. ':' .. group.no
end

-- The task up to which a group's queue was handed out; −1 for none.
function records.lastDelivered(group)
  if not group.has.queue then
    return -1
  end
  for _, info in ipairs(call('XINFO', 'GROUPS', records.streamKey(group, 'q'))) do
    for at = 1, #info, 2 do
      if info[at] == 'last-delivered-id' then
        local task, entry = string.match(info[at + 1], '^(%d+)-(%d+)$')
        return entry == '0' and -1 or tonumber(task)
      end
    end
  end
  return -1
end

-- Makes the stream with its consumer group, the pool's name, if it is not there yet.
function records.ensureStream(group, kind)
  local name = records.STREAMS[kind]
  if not group.has[name] then
    call('XGROUP', 'CREATE', records.streamKey(group, kind), group.pool, '0', 'MKSTREAM')
    books.set(group, { name, '1' })
    group.has[name] = true
  end
end
