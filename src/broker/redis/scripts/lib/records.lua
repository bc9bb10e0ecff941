-- Executions, groups and sessions as this script sees them: read once, kept for its duration.

eachCall(function()
  records.executions = {}
  records.groups = {}
  records.sessions = {}
end)

-- The execution, or false when there is none.
function records.execution(id)
  local known = records.executions[id]
  if known ~= nil then
    return known
  end
  local key = PREFIX .. 'exec:' .. id
  local row = call('HMGET', key, 'state', 'priority', 'linked', 'groups', 'started', 'retentionMs', 'verify', 'ended',
    'keepInputs')
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
      deltas = {},
    }
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
    keepsInputs = submission.keepInputs == '1', deltas = {},
  }
  records.executions[submission.id] = execution
  return execution
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
    'queue', 'again', 'chunks', 'linked', 'cursor', 'specBytes'
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
    deltas = {},
  }
  records.groups[key] = group
  return group
end

-- The group that holds a task of the execution.
function records.groupOfTask(execution, task)
  if execution.groups <= 1 then
    return records.group(execution, 0)
  end
  local found = call('ZREVRANGEBYSCORE', execution.key .. ':groups', task, '-inf', 'LIMIT', 0, 1)
  return records.group(execution, found[1])
end

-- A live session, or false.
function records.session(id)
  local known = records.sessions[id]
  if known ~= nil then
    return known
  end
  local key = PREFIX .. 'session:' .. id
  local row = call('HMGET', key, 'no', 'worker', 'pools', 'capabilities', 'state', 'orders')
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
    }
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
    call('HSET', group.key, name, '1')
    group.has[name] = true
  end
end
