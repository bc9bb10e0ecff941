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

-- What a pool counts: items of executions that have not ended, and what ended so since there is a store.
local OPEN = { blocked = true, scheduled = true, queued = true, running = true }
local ENDED = { completed = true, failed = true }

local function flushGroup(group)
  local pool = poolDeltas(group.pool)
  add(pool, 'depth', depthChange(group))
  for state, change in pairs(group.deltas) do
    if change ~= 0 then
      local value = call('HINCRBY', group.key, state, int(change))
      add(group.execution.deltas, state, change)
      -- What has ended is counted once and for all, also when it is run again by hand.
      if OPEN[state] or (ENDED[state] and change > 0) then
        add(pool, state, change)
      end
      if state == 'queued' and value == 0 then
        ready.withdraw(group)
      elseif state == 'running' then
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
  for at, state in ipairs({ 'queued', 'running', 'scheduled', 'blocked' }) do
    add(pool, state, -count(row[at]))
  end
  call('ZREM', PREFIX .. 'due', 'g:' .. group.no .. '::' .. group.execution.id)
end

-- Keys that nobody needs any more when an execution has ended: all of its queues, unless it failed with work left.
local function keysToDrop(execution, state)
  local names = { 'verifications', 'copied', 'running' }
  local function add(...)
    for _, name in ipairs({ ... }) do
      names[#names + 1] = name
    end
  end
  if not execution.isKept then
    add('blocked', 'waits', 'later')
    for no = 0, execution.groups - 1 do
      add('queue:' .. no, 'again:' .. no, 'chunks:' .. no, 'ranges:' .. no)
    end
  end
  if state == 'cancelled' or not (execution.keepsInputs or state == 'failed') then
    add('children')
  end
  for at, name in ipairs(names) do
    names[at] = execution.key .. ':' .. name
  end
  return names
end

-- What waits in a group counts in its pool again. `waiting`: items by state.
function books.join(group, waiting)
  local pool = poolDeltas(group.pool)
  local depth = waiting.queued + waiting.scheduled + waiting.blocked
  add(pool, 'depth', group.length and math.min(1, depth) or depth)
  for state, items in pairs(waiting) do
    add(pool, state, items)
  end
end

-- Ends an execution: its leases go, its queues go, what is known of it stays until its retention is over. One that fails
-- with work left keeps that too: it may run again (lib/replaying.lua).
function books.finish(execution, state, reason)
  books.flush()
  local row = call('HMGET', execution.key, 'queued', 'running', 'scheduled', 'blocked')
  local open = count(row[1]) + count(row[2]) + count(row[3]) + count(row[4])
  execution.isKept = state == 'failed' and open > 0
  orders.revokeAll(execution)
  books.flush()
  for no = 0, open > 0 and execution.groups - 1 or -1 do
    leavePool(records.group(execution, no))
  end
  local keys = keysToDrop(execution, state)
  verification.forgetReplicas(execution)
  unlinkAll(keys)
  call('ZREM', PREFIX .. 'live', execution.id)
  local purgeAt = now + execution.retentionMs
  call('ZADD', PREFIX .. 'purge', int(purgeAt), execution.id)
  call('HSET', execution.key, 'ended', int(now))
  if execution.isKept then
    call('HSET', execution.key, 'kept', '1')
  end
  books.changeState(execution, state, reason)
  execution.isEnded = true
end

-- Whether an execution has as many dead letters as it may have; those that stayed when others were replayed do not count.
function books.isOver(failed, maxFailures, forgiven)
  local new = failed - count(forgiven)
  return maxFailures and new > 0 and new >= tonumber(maxFailures)
end

-- How an execution ends when nothing is left to do. What was skipped without any failure was removed, or came after what
-- was: a person wanted it so.
function books.endOf(failed)
  return failed > 0 and 'failed' or 'completed'
end

local function settleOne(execution)
  local isBusy = (execution.running or 0) > 0 or (execution.queued or 0) > 0
  if execution.isEnded or (isBusy and not execution.hasFailures) then
    return
  end
  local row = call(
    'HMGET', execution.key, 'queued', 'running', 'scheduled', 'blocked', 'failed', 'open', 'maxFailures', 'verifying',
    'forgiven'
  )
  local failed = count(row[5])
  if books.isOver(failed, row[7], row[9]) then
    books.finish(execution, 'failed', failed .. ' dead letters')
  elseif row[6] ~= '1' and count(row[1]) + count(row[2]) + count(row[3]) + count(row[4]) + count(row[8]) == 0 then
    books.finish(execution, books.endOf(failed))
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
