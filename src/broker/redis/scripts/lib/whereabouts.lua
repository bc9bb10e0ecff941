-- Where separate tasks stand: each of them must be in exactly one place.
--
-- A task is completed in `results`; else what its try says; else `blocked`; else an entry of its group's queue.
-- A task that is nowhere has vanished: nothing will ever run it, and its execution would never end.

local function lookup(key, tasks)
  local found = {}
  for at, value in ipairs(call('HMGET', key, unpack(tasks))) do
    found[tasks[at]] = value
  end
  return found
end

-- Those of the tasks that are held, or were when they ended.
local function heldAmong(execution, tasks)
  local held = {}
  for _, task in ipairs(execution.holds and tasks or {}) do
    held[task] = call('SISMEMBER', execution.key .. ':held', task) == 1 or nil
  end
  return held
end

-- What is known of the tasks `first` … `last` (at most some thousand) of a group.
function whereabouts.read(group, first, last)
  local key = group.execution.key
  local facts = { tasks = {}, entries = {}, waiting = {}, owners = {} }
  for task = first, last do
    facts.tasks[#facts.tasks + 1] = int(task)
  end
  for _, name in ipairs({ 'results', 'tries', 'blocked', 'waits', 'later' }) do
    facts[name] = lookup(key .. ':' .. name, facts.tasks)
  end
  facts.suspended = group.execution.suspends and lookup(key .. ':suspended', facts.tasks) or {}
  facts.held = heldAmong(group.execution, facts.tasks)
  facts.marks = group.execution.isRanked and lookup(key .. ':marks', facts.tasks) or {}
  if group.has.queue then
    local stream, from, to = records.streamKey(group, 'q'), int(first) .. '-1', int(last) .. '-1'
    local delivered = records.lastDelivered(group)
    for _, entry in ipairs(call('XRANGE', stream, from, to)) do
      local task = string.match(entry[1], '^%d+')
      facts.entries[task] = true
      -- What was handed out and answered may still lie in the stream.
      facts.waiting[task] = tonumber(task) > delivered
    end
    for _, pending in ipairs(call('XPENDING', stream, group.pool, from, to, #facts.tasks)) do
      facts.owners[string.match(pending[1], '^%d+')] = pending[2]
    end
  end
  return facts
end

local function entryState(group, owner)
  if owner then
    return 'running'
  end
  return group.notBefore and 'scheduled' or 'queued'
end

-- The entry in `again` that a try names, if it is there, and who holds it.
local function entryOfTry(group, try)
  local id = string.match(try, '"entry":"a([%d-]+)"')
  if not id or not group.has.again or #call('XRANGE', records.streamKey(group, 'a'), id, id) == 0 then
    return nil
  end
  local pending = call('XPENDING', records.streamKey(group, 'a'), group.pool, id, id, 1)[1]
  return id, pending and pending[2]
end

-- The task's state, or 'vanished'; the entry in `again` that goes with it, where there is one; and the session
-- that runs it.
function whereabouts.of(group, task, facts)
  local try = facts.tries[task]
  if facts.results[task] then
    return 'completed', try and entryOfTry(group, try)
  end
  local state = try and string.match(try, '"state":"(%a+)"')
  if state == 'failed' or state == 'skipped' then
    return state, entryOfTry(group, try)
  elseif state == 'scheduled' and facts.later[task] then
    return 'scheduled', entryOfTry(group, try)
  elseif state == 'queued' then
    local entry, owner = entryOfTry(group, try)
    if entry then
      return entryState(group, owner), entry, owner
    end
  elseif facts.blocked[task] then
    return 'blocked'
  end
  if facts.waiting[task] or (facts.entries[task] and facts.owners[task]) then
    return entryState(group, facts.owners[task]), nil, facts.owners[task]
  end
  return 'vanished'
end

-- ── As rows ─────────────────────────────────────────────────────────────────────────────────────

local function workerOf(session)
  return call('HGET', PREFIX .. 'session:' .. session, 'worker') or session
end

-- { 'task', task, group, state, worker, try (JSON), result record, suspension (JSON, lib/suspending.lua), held (1 or ''),
-- rank and label }
function whereabouts.taskRow(group, task, facts)
  local state, _, owner = whereabouts.of(group, task, facts)
  local try = facts.tries[task] or ''
  local worker = owner and workerOf(owner) or string.match(try, '"worker":"([^"]+)"') or ''
  return { 'task', task, group.no, state, worker, try, facts.results[task] or '', facts.suspended[task] or '',
    facts.held[task] and '1' or '', facts.marks[task] or '' }
end

local ITEM_STATES = { 'blocked', 'scheduled', 'queued', 'running', 'completed', 'failed', 'skipped' }

-- { 'array', task, group, items by state … }
function whereabouts.arrayRow(group)
  local row = { 'array', int(group.first), group.no }
  for _, value in ipairs(call('HMGET', group.key, unpack(ITEM_STATES))) do
    row[#row + 1] = value or '0'
  end
  return row
end
