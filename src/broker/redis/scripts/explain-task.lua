-- Explain a task: what it waits for, whatever its state.
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] execution, [4] task, [5] most parents to name
-- Returns   { 'ok', row of the task (lib/whereabouts.lua), required capabilities (between separators), retries that its policy allows,
--           time before which it does not start ('' for none), since when it runs ('' when it does not), items ahead of it,
--           parents that have not completed, rows of the first of them } or { 'EXECUTION_NOT_FOUND' }, { 'TASK_UNKNOWN' }
-- Invariant Changes nothing.

-- @include lib/shard
-- @include lib/records
-- @include lib/ready
-- @include lib/suspending
-- @include lib/whereabouts
-- @include lib/ahead

local MAX_ENTRIES = 1000

local execution = records.execution(ARGV[3])
if not execution then
  return { 'EXECUTION_NOT_FOUND' }
end
local task = ARGV[4]
if tonumber(task) >= count(call('HGET', execution.key, 'nextTask')) then
  return { 'TASK_UNKNOWN' }
end
local group = records.groupOfTask(execution, task)
local facts = not group.length and whereabouts.read(group, tonumber(task), tonumber(task))
local state, entry, owner
if facts then
  state, entry, owner = whereabouts.of(group, task, facts)
end

local function rowOf(number)
  local own = records.groupOfTask(execution, number)
  if own.length then
    return whereabouts.arrayRow(own)
  end
  return whereabouts.taskRow(own, number, whereabouts.read(own, tonumber(number), tonumber(number)))
end

-- ── Parents ─────────────────────────────────────────────────────────────────────────────────────

local function isComplete(row)
  if row[1] == 'task' then
    return row[4] == 'completed'
  end
  -- Of an array: blocked, scheduled, queued and running items, then those that failed.
  return count(row[4]) + count(row[5]) + count(row[6]) + count(row[7]) + count(row[9]) == 0
end

local function parentsOf()
  local blocked = facts and facts.blocked[task]
  local parents = blocked and cjson.decode(blocked)[2]
  if state == 'skipped' then
    parents = string.match(call('HGET', execution.key .. ':inputs', task) or '', '^(.-)' .. UNIT)
  end
  parents = suspending.parents(suspending.of(execution, task), parents ~= '' and parents or nil)
  return parents and cjson.decode(parents) or {}
end

local rows, waitsFor, seen = {}, 0, {}
for _, parent in ipairs((state == 'blocked' or state == 'skipped') and not group.isRescue and parentsOf() or {}) do
  local row = not seen[parent] and rowOf(int(parent))
  seen[parent] = true
  if row and not isComplete(row) then
    waitsFor = waitsFor + 1
    if waitsFor <= tonumber(ARGV[5]) then
      rows[waitsFor] = row
    end
  end
end

-- ── Times ───────────────────────────────────────────────────────────────────────────────────────

-- Of an array all of whose items wait for their next try, as far as they are looked at.
local function firstRetry()
  local row = call('HMGET', group.key, 'queued', 'scheduled')
  local first
  if count(row[1]) == 0 and count(row[2]) > 0 then
    local found = call('HSCAN', execution.key .. ':later', '0', 'MATCH', task .. ':*', 'COUNT', MAX_ENTRIES)[2]
    for at = 1, #found, 2 do
      local member = 'r:' .. group.no .. ':' .. string.match(found[at], ':(%d+)$') .. ':' .. execution.id
      local due = tonumber(call('ZSCORE', PREFIX .. 'due', member) or nil)
      first = (first and due) and math.min(first, due) or first or due
    end
  end
  return first
end

local function notBefore()
  if execution.isEnded then
    return ''
  elseif group.length then
    local due = group.notBefore or firstRetry()
    return due and int(due) or ''
  elseif state == 'scheduled' then
    return string.match(facts.tries[task] or '', '"notBefore":(%d+)') or (group.notBefore and int(group.notBefore)) or ''
  end
  return ''
end

local function runningSince()
  if state ~= 'running' then
    return ''
  end
  local kind, id = entry and 'a' or 'q', entry or task .. '-1'
  local pending = call('XPENDING', records.streamKey(group, kind), group.pool, id, id, 1)[1]
  return pending and int(serverMs() - pending[3]) or ''
end

local function isReady()
  if execution.isEnded or group.notBefore then
    return false
  end
  return state == 'queued' or (group.length and count(call('HGET', group.key, 'queued')) > 0)
end

local policy = cjson.decode(call('HGET', group.key, 'retry'))
local row = facts and whereabouts.taskRow(group, task, facts) or whereabouts.arrayRow(group)
return { 'ok', row, group.requires, policy.limit, notBefore(), runningSince(), isReady() and int(ahead.of(group, task, entry)) or '0', waitsFor, rows }
