-- Sampled chunks run again on other workers (TTG-87, TTG-88).
--
-- When a sampled chunk commits, its copies are queued in the same step, so the execution cannot end
-- before they are judged. A waiting copy stands in its pool's `replicas`; one that runs is an entry of
-- its group's `chunks` stream. What each worker made of the chunk is kept in `copied` until the
-- coordinator has compared it. A copy that no second worker can run is given up.

local MAX_REPLICA_TROUBLES = 3
local MAX_DISAGREEMENTS = 100

local function chunkField(lease)
  return int(lease.task) .. ':' .. int(lease.start)
end

local function openField(group, start)
  return group.no .. ':' .. int(start) .. ':' .. group.execution.id
end

verification.openField = openField

local function reportKey(execution)
  return execution.key .. ':report'
end

-- The record of a chunk under verification, or nil: last, wanted, at, copies, workers (name → true).
function verification.read(execution, field)
  local text = call('HGET', execution.key .. ':verifications', field)
  if not text then
    return nil
  end
  local record = cjson.decode(text)
  record.last = tonumber(record.last)
  return record
end

local function write(execution, field, record)
  local text = { last = int(record.last), wanted = record.wanted, at = int(record.at), copies = record.copies,
    group = record.group, workers = record.workers }
  call('HSET', execution.key .. ':verifications', field, cjson.encode(text))
end

local function replicaMember(group, start, replica)
  return group.no .. ':' .. int(start) .. ':' .. int(replica) .. ':' .. group.execution.id
end

verification.replicaMember = replicaMember

local function queueReplica(group, start, last, replica, tries)
  local content = { int(last), int(tries.attempt), int(tries.failures), int(tries.losses), tries.isCareful and '1' or '0' }
  call('HSET', ready.poolKey(group.pool) .. ':replicas', replicaMember(group, start, replica), cjson.encode(content))
  ready.wake(group, 1)
end

local function storeCopy(lease, worker, values)
  local field = chunkField(lease) .. ':' .. int(lease.replica or 0)
  call('HSET', lease.group.execution.key .. ':copied', field, worker .. UNIT .. values .. UNIT .. lease.ended)
end

-- The chunk has committed and is in the sample: queues its copies.
function verification.sample(lease, session, outcome)
  local group = lease.group
  local execution = group.execution
  local plan = cjson.decode(call('HGET', execution.key, 'verify'))
  write(execution, chunkField(lease), {
    last = lease.last, wanted = plan.replicas, at = now, copies = 1, group = group.no,
    workers = { [session.worker] = true },
  })
  call('ZADD', PREFIX .. 'verifying', int(now), openField(group, lease.start))
  storeCopy(lease, session.worker, outcome.values)
  for replica = 1, plan.replicas - 1 do
    queueReplica(group, lease.start, lease.last, replica, { attempt = 0, failures = 0, losses = 0 })
  end
  call('HINCRBY', reportKey(execution), 'sampled', 1)
  call('HINCRBY', execution.key, 'verifying', 1)
  books.touch(execution)
end

-- Forgets a verification, its waiting and running copies, and what they made.
local function drop(group, start, record)
  local execution = group.execution
  local field = int(group.first) .. ':' .. int(start)
  for replica = 1, record.wanted - 1 do
    call('HDEL', ready.poolKey(group.pool) .. ':replicas', replicaMember(group, start, replica))
    call('HDEL', execution.key .. ':copied', field .. ':' .. replica)
  end
  call('HDEL', execution.key .. ':copied', field .. ':0')
  orders.eachPending(group, 'c', nil, function(id, consumer)
    local lease = leases.read(group, 'c', id)
    local session = records.session(consumer)
    if lease and lease.start == start then
      leases.drop(lease)
      if session then
        books.hold(session, group, -1)
        orders.stop(session, lease)
      end
    end
  end)
  call('HDEL', execution.key .. ':verifications', field)
  call('ZREM', PREFIX .. 'verifying', openField(group, start))
  call('HINCRBY', execution.key, 'verifying', -1)
  books.touch(execution)
end

function verification.giveUp(group, start, record)
  drop(group, start, record)
  call('HINCRBY', reportKey(group.execution), 'skipped', 1)
end

-- A copy has run. Items that failed in it stand as null and so differ from what the chunk says.
function verification.commit(lease, session, outcome)
  local execution = lease.group.execution
  local record = verification.read(execution, chunkField(lease))
  if record == nil then
    return
  end
  if outcome.values == '' then
    verification.giveUp(lease.group, lease.start, record)
    return
  end
  storeCopy(lease, session.worker, outcome.values)
  record.copies = record.copies + 1
  write(execution, chunkField(lease), record)
end

-- The copy's attempt ended without a result: queued again, or given up.
local function trouble(lease, worker, tries)
  local execution = lease.group.execution
  local record = verification.read(execution, chunkField(lease))
  if record == nil then
    return
  end
  record.workers[worker] = nil
  if tries.failures + tries.losses >= MAX_REPLICA_TROUBLES then
    verification.giveUp(lease.group, lease.start, record)
    return
  end
  write(execution, chunkField(lease), record)
  tries.isCareful = true
  queueReplica(lease.group, lease.start, lease.last, lease.replica, tries)
end

function verification.fail(lease, worker)
  trouble(lease, worker, { attempt = lease.attempt, failures = lease.failures + 1, losses = lease.losses })
end

function verification.requeue(lease, worker, isLost)
  trouble(lease, worker, {
    attempt = isLost and lease.attempt or lease.attempt - 1, failures = lease.failures,
    losses = lease.losses + (isLost and 1 or 0),
  })
end

-- Whether this copy, or the chunk itself, was counted before with this attempt.
function verification.isCounted(execution, one)
  local prefix = one.task .. ':' .. one.start .. ':'
  local record = verification.read(execution, one.task .. ':' .. one.start)
  for replica = 0, record and record.wanted - 1 or -1 do
    local copy = call('HGET', execution.key .. ':copied', prefix .. replica)
    if copy and string.match(copy, UNIT .. '([^' .. UNIT .. ']*)$') == one.entry then
      return true
    end
  end
  return false
end

-- Whether a copy of the chunk waits for a worker.
function verification.isWaiting(group, start, record)
  for replica = 1, record.wanted - 1 do
    if call('HEXISTS', ready.poolKey(group.pool) .. ':replicas', replicaMember(group, tonumber(start), replica)) == 1 then
      return true
    end
  end
  return false
end

-- Copies of the group that wait for a worker.
function verification.waiting(group)
  if not group.execution.isVerified then
    return 0
  end
  local waiting = 0
  for _, member in ipairs(call('HKEYS', ready.poolKey(group.pool) .. ':replicas')) do
    local no, id = string.match(member, '^(%d+):%d+:%d+:(.*)$')
    waiting = waiting + ((no == group.no and id == group.execution.id) and 1 or 0)
  end
  return waiting
end

-- ── Claiming copies ─────────────────────────────────────────────────────────────────────────────

-- Calls `take(group, record, start, replica, content)` for waiting copies that the session may run,
-- until it returns false.
function verification.eachFor(session, pools, take)
  for _, pool in ipairs(pools) do
    local waiting = call('HGETALL', ready.poolKey(pool) .. ':replicas')
    for at = 1, #waiting, 2 do
      local no, start, replica, id = string.match(waiting[at], '^(%d+):(%d+):(%d+):(.*)$')
      local execution = records.live(id)
      if execution and execution.state ~= 'paused' then
        local group = records.group(execution, no)
        local field = int(group.first) .. ':' .. start
        local record = verification.read(execution, field)
        if record and not record.workers[session.worker] and ready.fits(session.capabilities, group.requires) then
          call('HDEL', ready.poolKey(pool) .. ':replicas', waiting[at])
          record.workers[session.worker] = true
          write(execution, field, record)
          if not take(group, record, tonumber(start), tonumber(replica), cjson.decode(waiting[at + 1])) then
            return
          end
        end
      end
    end
  end
end

-- The execution has ended: nothing of it is compared any more.
function verification.forgetReplicas(execution)
  if not execution.isVerified then
    return
  end
  local open = call('HGETALL', execution.key .. ':verifications')
  for at = 1, #open, 2 do
    local record = cjson.decode(open[at + 1])
    local group = records.group(execution, record.group)
    local start = tonumber(string.match(open[at], ':(%d+)$'))
    for replica = 1, record.wanted - 1 do
      call('HDEL', ready.poolKey(group.pool) .. ':replicas', replicaMember(group, start, replica))
    end
    call('ZREM', PREFIX .. 'verifying', openField(group, start))
  end
  if #open > 0 then
    call('HDEL', execution.key, 'verifying')
    if execution.isKept then
      call('HINCRBY', reportKey(execution), 'skipped', #open / 2)
    end
  end
end

-- ── Judging ─────────────────────────────────────────────────────────────────────────────────────

-- Writes the coordinator's verdict; `workers`: JSON names that are not with the majority, '' when all agree.
function verification.judge(group, start, item, workers)
  local execution = group.execution
  local field = int(group.first) .. ':' .. int(start)
  local record = verification.read(execution, field)
  if record == nil then
    return
  end
  local differing = {}
  for _, worker in ipairs(workers == '' and {} or cjson.decode(workers)) do
    differing[worker] = true
  end
  drop(group, start, record)
  local report = reportKey(execution)
  for worker in pairs(record.workers) do
    call('HINCRBY', report, 'compared:' .. worker, 1)
    call('HINCRBY', report, 'disagreed:' .. worker, differing[worker] and 1 or 0)
  end
  call('HINCRBY', report, workers == '' and 'agreed' or 'differing', 1)
  local list = execution.key .. ':disagreements'
  if workers ~= '' and call('LLEN', list) < MAX_DISAGREEMENTS then
    call('RPUSH', list, '{"task":' .. int(group.first) .. ',"start":' .. int(start) .. ',"end":' .. int(record.last)
      .. ',"item":' .. item .. ',"workers":' .. workers .. '}')
  end
end
