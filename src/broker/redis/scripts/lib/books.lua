-- Counting (promise 2): items move between states; groups, executions and pools are counted once, when
-- the transition is written. An execution that has nothing left ends in the same step.

eachCall(function()
  books.groups = {}
  books.pools = {}
  books.touched = {}
end)


local function add(deltas, name, items)
  deltas[name] = (deltas[name] or 0) + items
end

-- The execution's end is looked for before the script returns.
function books.touch(execution)
  if not execution.isTouched then
    execution.isTouched = true
    books.touched[#books.touched + 1] = execution
  end
end

-- `items` of a group leave state `from` (nil: they are new) for state `to`.
function books.move(group, from, to, items)
  if books.groups[group.key] == nil then
    books.groups[group.key] = group
  end
  if from then
    add(group.deltas, from, -items)
  end
  add(group.deltas, to, items)
  books.touch(group.execution)
end

-- One of the execution's own numbers: `lost`, `retries`, `refused`.
function books.note(execution, name, items)
  add(execution.deltas, name, items)
  books.touch(execution)
end

local function poolDeltas(pool)
  if books.pools[pool] == nil then
    books.pools[pool] = {}
  end
  return books.pools[pool]
end

-- Leases of a session in a group: how many more, or fewer.
function books.hold(session, group, leases)
  add(session.held, group.lane, leases)
end

local function waitingOf(deltas)
  return (deltas.queued or 0) + (deltas.scheduled or 0) + (deltas.blocked or 0)
end

-- A separate task that waits counts in its pool's depth; an array counts as one while it waits.
local function depthChange(group)
  local change = waitingOf(group.deltas)
  if not group.length or change == 0 then
    return change
  end
  local row = call('HMGET', group.key, 'queued', 'scheduled')
  local before = count(row[1]) + count(row[2])
  return math.min(1, before + change) - math.min(1, before)
end

-- The set of groups with running leases, by which the end of an execution finds them.
local function noteRunning(group, running, change)
  if running == 0 then
    call('SREM', group.execution.key .. ':running', group.no)
  elseif running == change then
    call('SADD', group.execution.key .. ':running', group.no)
  end
end

local function flushGroup(group)
  local pool = poolDeltas(group.pool)
  add(pool, 'depth', depthChange(group))
  for state, change in pairs(group.deltas) do
    if change ~= 0 then
      local value = call('HINCRBY', group.key, state, int(change))
      add(group.execution.deltas, state, change)
      if state == 'queued' then
        add(pool, 'queued', change)
        if value == 0 then
          ready.withdraw(group)
        end
      elseif state == 'running' then
        add(pool, 'running', change)
        noteRunning(group, value, change)
      end
    end
  end
  group.deltas = {}
end

local function flushHeld(session)
  for lane, change in pairs(session.held) do
    if change ~= 0 and call('HINCRBY', session.key .. ':held', lane, int(change)) <= 0 then
      call('HDEL', session.key .. ':held', lane)
    end
  end
  session.held = {}
  if session.completed > 0 then
    call('HINCRBY', session.key, 'completed', int(session.completed))
    session.completed = 0
  end
end

-- Writes what was counted. Afterwards the stored numbers are those of this moment.
function books.flush()
  for _, group in pairs(books.groups) do
    flushGroup(group)
  end
  books.groups = {}
  for pool, deltas in pairs(books.pools) do
    for name, change in pairs(deltas) do
      if change ~= 0 then
        call('HINCRBY', ready.poolKey(pool), name, int(change))
      end
    end
  end
  books.pools = {}
  for _, execution in ipairs(books.touched) do
    for name, change in pairs(execution.deltas) do
      if change ~= 0 then
        local value = call('HINCRBY', execution.key, name, int(change))
        if name == 'running' or name == 'queued' then
          execution[name] = value
        end
      end
    end
    execution.hasFailures = execution.hasFailures or (execution.deltas.failed or 0) > 0
    execution.deltas = {}
  end
  for _, session in pairs(records.sessions) do
    if session then
      flushHeld(session)
    end
  end
end

-- ── States of an execution ──────────────────────────────────────────────────────────────────────

function books.changeState(execution, state, reason)
  if execution.state == state then
    return
  end
  execution.state = state
  if state == 'running' and not execution.started then
    execution.started = int(now)
    call('HSET', execution.key, 'state', state, 'started', execution.started)
  else
    call('HSET', execution.key, 'state', state)
  end
  journal.execution(execution, state, reason)
end

local UNLINK_PAGE = 1000

local function unlinkAll(keys)
  for from = 1, #keys, UNLINK_PAGE do
    call('UNLINK', unpack(keys, from, math.min(#keys, from + UNLINK_PAGE - 1)))
  end
end

-- What still waits in a group leaves its pool with it.
local function leavePool(group)
  ready.withdraw(group)
  local row = call('HMGET', group.key, 'queued', 'running', 'scheduled', 'blocked')
  local waiting = count(row[1]) + count(row[3]) + count(row[4])
  local pool = poolDeltas(group.pool)
  add(pool, 'depth', -(group.length and math.min(1, waiting) or waiting))
  add(pool, 'queued', -count(row[1]))
  add(pool, 'running', -count(row[2]))
  call('ZREM', PREFIX .. 'due', 'g:' .. group.no .. '::' .. group.execution.id)
end

-- Ends an execution: its leases go, its queues go, what is known of it stays until its retention is over.
function books.finish(execution, state, reason)
  books.flush()
  local row = call('HMGET', execution.key, 'queued', 'running', 'scheduled', 'blocked')
  local open = count(row[1]) + count(row[2]) + count(row[3]) + count(row[4])
  orders.revokeAll(execution)
  local keys = {}
  for no = 0, execution.groups - 1 do
    for _, name in ipairs({ 'queue', 'again', 'chunks', 'ranges' }) do
      keys[#keys + 1] = execution.key .. ':' .. name .. ':' .. no
    end
    if open > 0 then
      leavePool(records.group(execution, no))
    end
  end
  for _, name in ipairs({ 'blocked', 'waits', 'children', 'later', 'verifications', 'copied', 'running' }) do
    keys[#keys + 1] = execution.key .. ':' .. name
  end
  verification.forgetReplicas(execution)
  unlinkAll(keys)
  call('ZREM', PREFIX .. 'live', execution.id)
  local purgeAt = now + execution.retentionMs
  call('ZADD', PREFIX .. 'purge', int(purgeAt), execution.id)
  call('HSET', execution.key, 'ended', int(now))
  books.changeState(execution, state, reason)
  execution.isEnded = true
end

local function settleOne(execution)
  local isBusy = (execution.running or 0) > 0 or (execution.queued or 0) > 0
  if execution.isEnded or (isBusy and not execution.hasFailures) then
    return
  end
  local row = call(
    'HMGET', execution.key, 'queued', 'running', 'scheduled', 'blocked', 'failed', 'skipped', 'open', 'maxFailures',
    'verifying'
  )
  local failed = count(row[5])
  if row[8] and failed > 0 and failed >= tonumber(row[8]) then
    books.finish(execution, 'failed', failed .. ' dead letters')
  elseif row[7] ~= '1' and count(row[1]) + count(row[2]) + count(row[3]) + count(row[4]) + count(row[9]) == 0 then
    books.finish(execution, failed + count(row[6]) > 0 and 'failed' or 'completed')
  end
end

-- Writes what was counted and ends what has ended.
function books.settle()
  books.flush()
  local touched = books.touched
  books.touched = {}
  for _, execution in ipairs(touched) do
    execution.isTouched = false
    settleOne(execution)
  end
  books.flush()
end
