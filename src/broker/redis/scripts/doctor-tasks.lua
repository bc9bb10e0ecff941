-- Examination of tasks: one page of an execution, each task of which must be in exactly one place.
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] 1: mend, [4] execution, [5] first task, [6] most tasks
-- Returns   { 'ok', findings (lib/examining.lua), the next task to look at ('' at the end), seal (lib/examining.lua; '' when the
--           execution has ended), tasks that have vanished, row, row … }: a row is
--           { 'tasks', group, blocked, scheduled, queued, running, completed, failed, skipped } or
--           { 'array', group, task, length, cursor (carved items), delayed (0|1) }
-- Invariant Nothing that counts is thrown away: an entry goes only when its task has ended, or is elsewhere.

-- @include lib/shard
-- @include lib/records
-- @include lib/journal
-- @include lib/ready
-- @include lib/orders
-- @include lib/books
-- @include lib/leases
-- @include lib/letters
-- @include lib/ranges
-- @include lib/dependents
-- @include lib/suspending
-- @include lib/verification
-- @include lib/claiming
-- @include lib/later
-- @include lib/examining
-- @include lib/whereabouts

local execution = records.live(ARGV[4])
local from, budget = tonumber(ARGV[5]), tonumber(ARGV[6])
local vanished, rows = {}, {}

local function nameOf(task)
  return task .. ' of ' .. execution.id
end

local function dropStale(group, kind, id, task)
  examining.note('entry-of-ended', nameOf(task), function()
    examining.drop(group, kind, id)
  end)
end

-- Entries of a task that is elsewhere, and pending ones that are gone.
local function dropLeftovers(group, task, facts, where)
  local id = task .. '-1'
  if where.isElsewhere and facts.entries[task] and (facts.waiting[task] or facts.owners[task]) then
    dropStale(group, 'q', id, task)
  elseif facts.owners[task] and not facts.entries[task] then
    examining.note('lease-of-nothing', nameOf(task), function()
      examining.drop(group, 'q', id)
      facts.owners[task] = nil
    end)
  end
  if where.entry and where.isEnded then
    dropStale(group, 'a', where.entry, task)
  end
  if where.isEnded and facts.blocked[task] then
    examining.note('entry-of-ended', nameOf(task), function()
      call('HDEL', execution.key .. ':blocked', task)
      call('HDEL', execution.key .. ':waits', task)
    end)
  end
end

local function checkTimer(group, task, try)
  local member = 't:' .. group.no .. ':' .. task .. ':' .. execution.id
  if not call('ZSCORE', PREFIX .. 'due', member) then
    examining.note('timer-missing', nameOf(task), function()
      call('ZADD', PREFIX .. 'due', string.match(try, '"notBefore":(%d+)') or int(now), member)
    end)
  end
end

local function checkLetter(task)
  if not (call('ZSCORE', execution.key .. ':letters', task) or call('ZSCORE', execution.key .. ':discarded', task)) then
    examining.note('letter-missing', nameOf(task), function()
      letters.add(execution, task)
    end)
  end
end

-- A parent that does not know of its child would never release it.
local function checkLink(parent, task)
  local children = call('HGET', execution.key .. ':children', int(parent))
  if not (children and string.find(',' .. children .. ',', ',' .. task .. ',', 1, true)) then
    examining.note('link-missing', nameOf(task), function()
      call('HSET', execution.key .. ':children', int(parent), children and children .. ',' .. task or task)
    end)
  end
end

-- A task that waits for a signal is known for it, and goes on when the signal is there.
local function checkSignal(task, suspension)
  local member = suspension.signal .. UNIT .. task
  if call('HEXISTS', execution.key .. ':signals', suspension.signal) == 1 then
    examining.note('signal-unheard', nameOf(task), function()
      call('ZADD', execution.key .. ':awaiting', 0, member)
      suspending.signal(execution, suspension.signal)
    end)
  elseif not call('ZSCORE', execution.key .. ':awaiting', member) then
    examining.note('signal-unheard', nameOf(task), function()
      call('ZADD', execution.key .. ':awaiting', 0, member)
    end)
  end
end

-- A blocked task waits for as many parents as have not completed, and for its signal.
local function checkBlocked(group, task, content, waits)
  local suspension = suspending.of(execution, task)
  if suspending.awaits(suspension) then
    checkSignal(task, suspension)
  end
  local parents = suspending.parents(suspension, not group.isRescue and cjson.decode(content)[2] or nil)
  local open, dead, seen = suspending.counts(execution, suspension), nil, {}
  for _, parent in ipairs(parents and cjson.decode(parents) or {}) do
    local state = not seen[parent] and dependents.parentState(execution, int(parent))
    seen[parent] = true
    dead = dead or (state == 'dead' and parent)
    if state == 'open' then
      open = open + 1
      checkLink(parent, task)
    end
  end
  open = open + (leases.isHeld(execution, task) and 1 or 0)
  if group.isRescue then
    open = open + call('SISMEMBER', execution.key .. ':rescue', task)
  end
  if dead then
    checkLink(dead, task)
    examining.note('blocked-for-nothing', nameOf(task), function()
      dependents.skip(execution, dead)
    end)
  elseif open == 0 then
    examining.note('blocked-for-nothing', nameOf(task), function()
      dependents.start(execution, task)
    end)
  elseif open ~= count(waits) then
    examining.note('waits-wrong', nameOf(task), function()
      call('HSET', execution.key .. ':waits', task, open)
    end)
  end
end

local ENDED = { completed = true, failed = true, skipped = true }

local function examineTask(group, task, facts)
  local state, entry = whereabouts.of(group, task, facts)
  local isElsewhere = ENDED[state] or state == 'blocked' or entry or (state == 'scheduled' and facts.later[task])
  dropLeftovers(group, task, facts, { entry = entry, isElsewhere = isElsewhere, isEnded = ENDED[state] })
  if state == 'scheduled' and facts.later[task] then
    checkTimer(group, task, facts.tries[task])
    local suspension = suspending.of(execution, task)
    if suspending.awaits(suspension) then
      checkSignal(task, suspension)
    end
  elseif state == 'failed' then
    checkLetter(task)
  elseif state == 'blocked' then
    checkBlocked(group, task, facts.blocked[task], facts.waits[task])
  end
  return state
end

local function examineTasks(group, first, last)
  local facts = whereabouts.read(group, first, last)
  local counts = { vanished = 0 }
  for _, state in ipairs(examining.STATES) do
    counts[state] = 0
  end
  for _, task in ipairs(facts.tasks) do
    local state = examineTask(group, task, facts)
    counts[state] = counts[state] + 1
    if state == 'vanished' then
      vanished[#vanished + 1] = task
    end
  end
  local row = { 'tasks', group.no }
  for at, state in ipairs(examining.STATES) do
    row[2 + at] = int(counts[state])
  end
  rows[#rows + 1] = row
end

local total = execution and count(call('HGET', execution.key, 'nextTask')) or 0
while from < total and budget > 0 do
  local group = examining.group(execution, records.groupOfTask(execution, from).no)
  if not group then
    return examining.reply('', '', {})
  elseif group.length then
    rows[#rows + 1] = { 'array', group.no, int(group.first), int(group.length), int(group.cursor), group.notBefore and 1 or 0 }
    from, budget = from + 1, budget - 1
  else
    local last = math.min(group.first + group.count, from + budget) - 1
    examineTasks(group, from, last)
    budget = budget - (last - from + 1)
    from = last + 1
  end
end
finishScript()
local seal = (execution and not execution.isEnded) and examining.seal(execution) or ''
return examining.reply(from < total and int(from) or '', seal, vanished, unpack(rows))
