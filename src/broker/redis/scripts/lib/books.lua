-- Counting (promise 2): items move between states; groups, executions and pools are counted once, when
-- the transition is written. An execution that has nothing left ends in the same step.

eachCall(function()
  books.groups = {}
  books.pools = {}
  books.touched = {}
  -- Something has moved in an execution with rescue tasks.
  books.callsRescue = false
end)


local function add(deltas, name, items)
  deltas[name] = (deltas[name] or 0) + items
end

-- The execution's end is looked for before the script returns.
function books.touch(execution)
  if not execution.isTouched then
    execution.isTouched = true
    books.callsRescue = books.callsRescue or execution.hasRescue
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

-- Fields of the group's hash, name, value …, that are written along with its counts.
function books.set(group, fields)
  if books.groups[group.key] == nil then
    books.groups[group.key] = group
  end
  group.fields = group.fields or {}
  for _, value in ipairs(fields) do
    group.fields[#group.fields + 1] = value
  end
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
  local before = group.counts.queued + group.counts.scheduled
  return math.min(1, before + change) - math.min(1, before)
end

-- What a pool counts: items of executions that have not ended, and what ended so since there is a store.
local OPEN = { blocked = true, scheduled = true, queued = true, running = true }
local ENDED = { completed = true, failed = true }

-- The changes, as fields and values of the hash that counts; `counts` is what it will say.
local function countOn(counts, deltas, fields)
  for state, change in pairs(deltas) do
    if change ~= 0 and counts[state] then
      counts[state] = counts[state] + change
      fields[#fields + 1] = state
      fields[#fields + 1] = int(counts[state])
    end
  end
  return fields
end

local function flushGroup(group)
  local pool, execution = poolDeltas(group.pool), group.execution
  add(pool, 'depth', depthChange(group))
  for state, change in pairs(group.deltas) do
    if change ~= 0 then
      add(execution.deltas, state, change)
      -- What has ended is counted once and for all, also when it is run again by hand.
      if OPEN[state] or (ENDED[state] and change > 0) then
        add(pool, state, change)
      end
      if state == 'failed' and group.passes then
        add(execution.deltas, 'passed', change)
      end
    end
  end
  local fields = countOn(group.counts, group.deltas, group.fields or {})
  local isDry = group.counts.queued == 0 and (group.deltas.queued or 0) < 0
  if group.counts.running > 0 and not group.hasRun then
    -- By this set the end of an execution finds the groups with leases.
    group.hasRun = true
    call('SADD', execution.key .. ':running', group.no)
    fields[#fields + 1] = 'ran'
    fields[#fields + 1] = '1'
  end
  group.deltas, group.fields = {}, nil
  if #fields > 0 then
    call('HSET', group.key, unpack(fields))
  end
  if isDry and not group.isRanked then
    ready.withdraw(group)
  end
end

local NOTES = { lost = true, retries = true, refused = true }

local function flushExecution(execution)
  local fields = countOn(execution.counts, execution.deltas, execution.fields or {})
  execution.fields = nil
  if #fields > 0 then
    call('HSET', execution.key, unpack(fields))
  end
  for name, change in pairs(execution.deltas) do
    if NOTES[name] and change ~= 0 then
      call('HINCRBY', execution.key, name, int(change))
    end
  end
  execution.hasFailures = execution.hasFailures or (execution.deltas.failed or 0) > 0
  execution.deltas = {}
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
    flushExecution(execution)
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
  local counts = group.counts
  local waiting = counts.queued + counts.scheduled + counts.blocked
  local pool = poolDeltas(group.pool)
  add(pool, 'depth', -(group.length and math.min(1, waiting) or waiting))
  for state in pairs(OPEN) do
    add(pool, state, -counts[state])
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
    add('blocked', 'waits', 'later', 'rescue', 'awaiting')
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

-- Items that have not ended.
local function openOf(counts)
  return counts.blocked + counts.scheduled + counts.queued + counts.running
end

-- Ends an execution: its leases go, its queues go, what is known of it stays until its retention is over. One that fails
-- with work left keeps that too: it may run again (lib/replaying.lua).
function books.finish(execution, state, reason)
  books.flush()
  local open = openOf(execution.counts)
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
  local counts = execution.counts
  local left, failed = openOf(counts), counts.failed - counts.passed
  local isBusy = counts.running + counts.queued > 0 or (left > 0 and failed <= 0 and not execution.hasRescue)
  if execution.isEnded or (isBusy and not execution.hasFailures) then
    return
  end
  local row = call('HMGET', execution.key, 'open', 'maxFailures', 'verifying', 'forgiven')
  left = left + count(row[3])
  if books.isOver(failed, row[2], row[4]) then
    books.finish(execution, 'failed', failed .. ' dead letters')
  elseif row[1] ~= '1' and left == 0 then
    books.finish(execution, books.endOf(failed))
  elseif row[1] ~= '1' and execution.hasRescue and left == call('SCARD', execution.key .. ':rescue') then
    dependents.rescue(execution, failed > 0)
  end
end

-- Writes what was counted and ends what has ended.
function books.settle()
  books.flush()
  while #books.touched > 0 do
    local touched = books.touched
    books.touched = {}
    for _, execution in ipairs(touched) do
      execution.isTouched = false
      settleOne(execution)
    end
    books.flush()
  end
end
