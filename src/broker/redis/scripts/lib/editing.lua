-- Edits of an execution that has not ended: what they do, found out before the first write. lib/applying.lua does it.
--
-- An edit: priority (nil for none), remove, hold, unhold (tasks, ascending), rewire ({ task, parents } …), rank ({ task, rank
-- as text } …), groups (as lib/submitting.lua reads them); of an undo also restore ({ task, content } …: tasks that come
-- back) and bury (tasks that it had added and that were skipped: nothing brings them back).

local WAITING = { blocked = true, scheduled = true, queued = true }
local OPEN = { blocked = true, scheduled = true, queued = true, running = true }

-- ── The tasks that it names ─────────────────────────────────────────────────────────────────────

local function namedTasks(edit)
  local named, list = {}, {}
  local function add(task)
    if not named[task] then
      named[task] = true
      list[#list + 1] = task
    end
  end
  for _, tasks in ipairs({ edit.remove, edit.hold, edit.unhold }) do
    for _, task in ipairs(tasks) do
      add(task)
    end
  end
  for _, pairs_ in ipairs({ edit.rewire, edit.rank, edit.restore }) do
    for _, pair in ipairs(pairs_) do
      add(pair[1])
    end
  end
  table.sort(list)
  return list
end

-- Places by task; or nil, and the refusal.
local function findPlaces(execution, edit, plan)
  local tasks, array = namedTasks(edit), nil
  if #tasks > 0 and tasks[#tasks] >= plan.first then
    return nil, { 'TASK_UNKNOWN', int(tasks[#tasks]) }
  end
  local places = {}
  undoing.each(execution, tasks, function(place)
    places[place.task] = place
    array = array or (place.group.length and place.name)
  end)
  if array then
    return nil, { 'ARRAY', array }
  end
  return places
end

local function findRemoved(edit, plan)
  for _, task in ipairs(edit.remove) do
    local place = plan.places[task]
    if OPEN[place.state] then
      plan.removed[#plan.removed + 1] = place
      plan.gone[task] = true
    end
  end
  for _, task in ipairs(edit.bury) do
    plan.gone[task] = true
  end
end

-- ── Other parents ───────────────────────────────────────────────────────────────────────────────

local function isRescue(execution, edit, plan, task)
  if task < plan.first then
    return execution.hasRescue and records.groupOfTask(execution, task).isRescue
  end
  local first = plan.first
  for _, group in ipairs(edit.groups) do
    if task < first + group.tasks then
      return group.isRescue
    end
    first = first + group.tasks
  end
end

local function isSame(parents, others)
  local left, total = {}, 0
  for _, parent in ipairs(others) do
    left[parent] = true
  end
  for _, parent in ipairs(parents) do
    if not left[parent] then
      return false
    end
  end
  for _ in pairs(left) do
    total = total + 1
  end
  return total == #parents
end

local function parentsOf(content)
  return content.parents and cjson.decode(content.parents) or {}
end

-- What the task has added itself, and waits for.
local function tiesOf(execution, task)
  local ties = {}
  suspending.eachAdded(suspending.of(execution, task), function(one)
    ties[#ties + 1] = one
  end)
  return ties
end

local function checkParents(execution, edit, plan, rewire)
  for _, parent in ipairs(rewire[2]) do
    if parent >= plan.first + plan.added then
      return { 'TASK_UNKNOWN', int(parent) }
    elseif isRescue(execution, edit, plan, parent) then
      return { 'RESCUE', int(rewire[1]), int(parent) }
    end
  end
end

-- The task is to get these parents. The refusal, where it may not.
local function rewireOne(execution, edit, plan, rewire)
  local task, parents = rewire[1], rewire[2]
  local place = plan.places[task]
  local refusal = checkParents(execution, edit, plan, rewire)
  if refusal then
    return refusal
  elseif plan.gone[task] or not (OPEN[place.state] or (place.state == 'skipped' and not reshaping.isForGood(place.try))) then
    return { 'ENDED', int(task) }
  end
  local content = moving.content(place)
  place.former = parentsOf(content)
  if isSame(place.former, parents) then
    return nil
  end
  content.parents = #parents > 0 and cjson.encode(parents) or nil
  if suspending.of(execution, task) then
    -- It begins anew.
    content.notBefore = nil
  end
  place.content, place.parents, place.ties = content, parents, {}
  plan.moved[#plan.moved + 1] = place
  plan.rewired = plan.rewired + 1
end

-- With a task that is removed goes what it has added as it suspended itself and has not ended, directly or not; so it does
-- for one that begins anew (`isImplied`), and then for good.
local function removeAdded(execution, plan, tasks, isImplied)
  while #tasks > 0 do
    local added, more, seen = {}, {}, {}
    for _, task in ipairs(tasks) do
      suspending.eachAdded(suspending.of(execution, task), function(one)
        added[#added + 1] = (not plan.gone[one] and not seen[one]) and one or nil
        seen[one] = true
      end)
    end
    table.sort(added)
    undoing.each(execution, added, function(place)
      place = plan.places[place.task] or place
      plan.places[place.task] = place
      if OPEN[place.state] then
        place.isImplied = isImplied
        plan.removed[#plan.removed + 1] = place
        plan.gone[place.task] = true
        more[#more + 1] = place.task
      end
    end)
    tasks = more
  end
end

local function findImplied(execution, plan)
  local removed, begun, moved = {}, {}, {}
  for at, place in ipairs(plan.removed) do
    removed[at] = place.task
  end
  removeAdded(execution, plan, removed, false)
  for _, place in ipairs(plan.moved) do
    begun[#begun + 1] = (place.former and place.state ~= 'skipped') and place.task or nil
  end
  removeAdded(execution, plan, begun, true)
  for _, place in ipairs(plan.moved) do
    moved[#moved + 1] = not plan.gone[place.task] and place or nil
  end
  plan.moved = moved
  table.sort(plan.removed, function(one, other)
    return one.task < other.task
  end)
end

-- A task that was removed comes back.
local function restoreOne(execution, plan, restore)
  local place = plan.places[restore[1]]
  place.content = restore[2]
  place.parents, place.ties = parentsOf(place.content), tiesOf(execution, restore[1])
  plan.moved[#plan.moved + 1] = place
end

-- Parents of each added task.
local function addedParents(edit)
  local all = {}
  for _, group in ipairs(edit.groups) do
    for at = 0, group.tasks - 1 do
      local parents = (group.isLinked and not group.isRescue) and ARGV[group.from + group.step * at + 1] or ''
      all[#all + 1] = parents ~= '' and cjson.decode(parents) or {}
    end
  end
  return all
end

local function foresee(execution, edit, plan)
  local change = { first = plan.first, gone = plan.gone, parents = {}, ties = {}, places = plan.places,
    added = addedParents(edit) }
  for _, place in ipairs(plan.moved) do
    -- What comes after everything else waits for no parent.
    change.parents[place.task] = place.group.isRescue and {} or place.parents
    change.ties[place.task] = place.ties
  end
  return reshaping.foresee(execution, change)
end

-- ── Ranks and holds ─────────────────────────────────────────────────────────────────────────────

-- Whether the task is still to run once the rest of the edit is done.
local function willRun(plan, task)
  local isOpen = OPEN[plan.places[task].state] and not plan.gone[task] and not plan.isSkipped[task]
  return isOpen or plan.isRestored[task] == true
end

local function findRanked(execution, edit, plan)
  for _, pair in ipairs(edit.rank) do
    local place = plan.places[pair[1]]
    local before = willRun(plan, pair[1]) and ready.rankOf(execution, pair[1])
    if before and tonumber(before) ~= tonumber(pair[2]) then
      plan.ranked[#plan.ranked + 1] = { place = place, rank = pair[2], before = before }
    end
  end
end

local function findHeld(execution, tasks, plan, isHeld)
  local found = {}
  for _, task in ipairs(tasks) do
    if willRun(plan, task) and leases.isHeld(execution, task) == isHeld then
      found[#found + 1] = task
    end
  end
  return found
end

-- ── The whole ───────────────────────────────────────────────────────────────────────────────────

-- Tasks that wait for the end of all the others.
local function rescueLeft(execution, plan)
  local left = execution.hasRescue and call('SCARD', execution.key .. ':rescue') or 0
  for _, place in ipairs(plan.removed) do
    if place.group.isRescue then
      left = left - call('SISMEMBER', execution.key .. ':rescue', place.name)
    end
  end
  for _, place in ipairs(plan.moved) do
    left = left + ((place.state == 'skipped' and place.content.isRescue) and 1 or 0)
  end
  for _, group in ipairs(plan.edit.groups) do
    left = left + (group.isRescue and group.tasks or 0)
  end
  return left
end

-- How the execution ends; '' when it goes on.
local function findEnd(execution, plan)
  local row = call('HMGET', execution.key, 'queued', 'running', 'scheduled', 'blocked', 'failed', 'open', 'verifying', 'passed')
  local left = count(row[1]) + count(row[2]) + count(row[3]) + count(row[4])
  left = left - #plan.removed - #plan.skipped + #plan.restored + plan.added - plan.addedSkipped
  local failed = count(row[5]) - count(row[8])
  if left > 0 and failed == 0 and left == rescueLeft(execution, plan) then
    -- Nobody needs them.
    left = 0
  end
  return (left > 0 or row[6] == '1' or count(row[7]) > 0) and '' or books.endOf(failed)
end

local function findRerun(plan)
  for _, place in ipairs(plan.moved) do
    place.isDead = plan.isSkipped[place.task] or (place.state == 'skipped' and not plan.isRestored[place.task])
    if place.state == 'running' and not place.isDead then
      plan.rerun[#plan.rerun + 1] = place.task
    end
  end
  table.sort(plan.rerun)
end

local function newPlan(execution, edit)
  local plan = {
    edit = edit, priority = edit.priority, removed = {}, gone = {}, moved = {}, rewired = 0, ranked = {}, rerun = {},
    added = 0, addedSkipped = 0, isRestored = {}, isSkipped = {}, first = count(call('HGET', execution.key, 'nextTask')),
  }
  for _, group in ipairs(edit.groups) do
    plan.added = plan.added + group.tasks
  end
  return plan
end

-- The plan; or nil, and the refusal.
function editing.plan(execution, edit)
  local plan, refusal = newPlan(execution, edit), nil
  plan.places, refusal = findPlaces(execution, edit, plan)
  if not plan.places then
    return nil, refusal
  end
  findRemoved(edit, plan)
  for _, rewire in ipairs(edit.rewire) do
    refusal = rewireOne(execution, edit, plan, rewire)
    if refusal then
      return nil, refusal
    end
  end
  for _, restore in ipairs(edit.restore) do
    restoreOne(execution, plan, restore)
  end
  findImplied(execution, plan)
  local found, cycle = foresee(execution, edit, plan)
  if not found then
    return nil, { 'CYCLE', cjson.encode(cycle) }
  end
  plan.skipped, plan.restored, plan.stillborn = found.skipped, found.restored, found.stillborn
  for _, isSkipped in ipairs(plan.stillborn) do
    plan.addedSkipped = plan.addedSkipped + (isSkipped and 1 or 0)
  end
  for _, task in ipairs(plan.restored) do
    plan.isRestored[task] = true
  end
  for _, task in ipairs(plan.skipped) do
    plan.isSkipped[task] = true
  end
  findRerun(plan)
  findRanked(execution, edit, plan)
  plan.held = findHeld(execution, edit.hold, plan, false)
  plan.unheld = findHeld(execution, edit.unhold, plan, true)
  plan.ends = findEnd(execution, plan)
  return plan
end

-- The first pool that cannot take what will wait, once the rest has gone, and how much waits there; nil when all can.
function editing.fullPool(execution, plan, limit)
  local more = {}
  local function add(pool, tasks)
    more[pool] = (more[pool] or 0) + tasks
  end
  local function poolOf(task)
    return records.groupOfTask(execution, task).pool
  end
  for _, place in ipairs(plan.removed) do
    add(place.group.pool, WAITING[place.state] and -1 or 0)
  end
  for _, task in ipairs(plan.skipped) do
    local place = plan.places[task]
    add(poolOf(task), (place and place.state == 'running') and 0 or -1)
  end
  for _, tasks in ipairs({ plan.restored, plan.rerun }) do
    for _, task in ipairs(tasks) do
      add(poolOf(task), 1)
    end
  end
  local at = 0
  for _, group in ipairs(plan.edit.groups) do
    for _ = 1, group.tasks do
      at = at + 1
      add(group.pool, plan.stillborn[at] and 0 or 1)
    end
  end
  return ready.overfull(more, limit)
end

-- ── Telling ─────────────────────────────────────────────────────────────────────────────────────

-- Stands for what is asked (`digest`) and all that it does.
function editing.version(execution, plan, digest)
  local facts = { digest, plan.priority and execution.priority or '', int(plan.first), plan.ends }
  local function add(text)
    facts[#facts + 1] = text
  end
  local function addAll(mark, tasks)
    for _, task in ipairs(tasks) do
      add(mark .. int(task))
    end
  end
  for _, place in ipairs(plan.removed) do
    add(place.name .. place.state)
  end
  for _, place in ipairs(plan.moved) do
    add('m' .. place.name .. (place.isDead and '-' or '+'))
  end
  for _, one in ipairs(plan.ranked) do
    add('n' .. one.place.name)
  end
  addAll('s', plan.skipped)
  addAll('b', plan.restored)
  addAll('r', plan.rerun)
  addAll('h', plan.held)
  addAll('u', plan.unheld)
  for _, isSkipped in ipairs(plan.stillborn) do
    add(isSkipped and '-' or '+')
  end
  return redis.sha1hex(table.concat(facts, UNIT))
end

-- What it does as JSON, with the first `most` tasks of each kind by number.
function editing.changes(execution, plan, most)
  local fields = {}
  local function add(name, value)
    fields[#fields + 1] = '"' .. name .. '":' .. value
  end
  local function addList(name, list, text)
    local texts = {}
    for at = 1, math.min(most, #list) do
      texts[at] = text(list[at])
    end
    add(name, '[' .. table.concat(texts, ',') .. ']')
    add(name .. 'Count', #list)
  end
  add('added', plan.added)
  add('addedSkipped', plan.addedSkipped)
  addList('removed', plan.removed, function(place)
    return '{"task":' .. place.name .. ',"state":"' .. place.state .. '"}'
  end)
  addList('skipped', plan.skipped, int)
  add('rewired', plan.rewired)
  addList('rerun', plan.rerun, int)
  add('ranked', #plan.ranked)
  add('held', #plan.held)
  add('unheld', #plan.unheld)
  addList('restored', plan.restored, int)
  if plan.priority then
    add('priority', '{"from":' .. execution.priority .. ',"to":' .. plan.priority .. '}')
  end
  if plan.added > 0 then
    add('firstAdded', int(plan.first))
  end
  if plan.ends ~= '' then
    add('ends', '"' .. plan.ends .. '"')
  end
  return '{' .. table.concat(fields, ',') .. '}'
end

-- ── Memory ──────────────────────────────────────────────────────────────────────────────────────

-- Version and changes of an edit that was made before: the one of this name, or the last one, if its version is this.
function editing.earlier(execution, name, version)
  for age, text in ipairs(call('LRANGE', execution.key .. ':edits', 0, -1)) do
    local known, changes, itsName = string.match(text, '^(%x+)' .. UNIT .. '([^' .. UNIT .. ']*)' .. UNIT .. '(.*)$')
    if (name ~= '' and itsName == name) or (age == 1 and known == version) then
      return known, changes
    end
  end
end

-- The last `most` are kept.
function editing.remember(execution, edit, most)
  local key = execution.key .. ':edits'
  call('LPUSH', key, edit.version .. UNIT .. edit.changes .. UNIT .. edit.name)
  call('LTRIM', key, 0, most - 1)
end
