-- Edits of an execution that has not ended: what they do, found out before the first write, and then done.
--
-- A removed task is `skipped`, and its try says `"as":"removed"`, so that nothing brings it back.

-- ── Finding out ─────────────────────────────────────────────────────────────────────────────────

local REMOVABLE = { blocked = true, scheduled = true, queued = true, running = true }

-- Places of the tasks that have not ended; or nil, the code of a refusal, and its task.
local function findRemoved(execution, tasks)
  local last = tasks[#tasks]
  if last and last >= count(call('HGET', execution.key, 'nextTask')) then
    return nil, 'TASK_UNKNOWN', int(last)
  end
  local places, array = {}, nil
  undoing.each(execution, tasks, function(place)
    if place.group.length then
      array = array or place.name
    elseif REMOVABLE[place.state] then
      places[#places + 1] = place
    end
  end)
  if array then
    return nil, 'ARRAY', array
  end
  return places
end

-- Blocked tasks that come after the removed ones, directly or not, ascending; and the set of both.
local function findSkipped(execution, removed)
  local gone, ended, skipped = {}, {}, {}
  for at, place in ipairs(removed) do
    gone[place.task] = true
    ended[at] = place.task
  end
  while #ended > 0 do
    for child in dependents.childrenOf(execution, table.remove(ended)) do
      local task = tonumber(child)
      if not gone[task] and call('HEXISTS', execution.key .. ':blocked', child) == 1 then
        gone[task] = true
        skipped[#skipped + 1] = task
        ended[#ended + 1] = task
      end
    end
  end
  table.sort(skipped)
  return skipped, gone
end

-- Of each added task whether it is skipped at once, because a parent is dead.
local function findStillborn(execution, first, groups, gone)
  local stillborn, known = {}, {}
  local function isDead(parent)
    if parent >= first then
      return stillborn[parent - first + 1]
    elseif known[parent] == nil then
      known[parent] = gone[parent] or dependents.parentState(execution, int(parent)) == 'dead'
    end
    return known[parent]
  end
  for _, group in ipairs(groups) do
    for at = 0, group.tasks - 1 do
      local parents = group.isLinked and ARGV[group.from + 2 * at + 1] or ''
      local isSkipped = false
      for _, parent in ipairs(parents ~= '' and cjson.decode(parents) or {}) do
        isSkipped = isSkipped or isDead(parent)
      end
      stillborn[#stillborn + 1] = isSkipped
    end
  end
  return stillborn
end

-- How the execution ends when these have gone and those are added; '' when it goes on.
local function findEnd(execution, gone, added)
  local row = call('HMGET', execution.key, 'queued', 'running', 'scheduled', 'blocked', 'failed', 'open', 'verifying')
  local left = count(row[1]) + count(row[2]) + count(row[3]) + count(row[4]) - gone + added
  return (left > 0 or row[6] == '1' or count(row[7]) > 0) and '' or books.endOf(count(row[5]))
end

-- `wanted`: priority (nil for none), tasks (to remove, ascending), groups. The plan; or nil, and the refusal.
function editing.plan(execution, wanted)
  local removed, code, task = findRemoved(execution, wanted.tasks)
  if not removed then
    return nil, { code, task }
  end
  local plan = { priority = wanted.priority, groups = wanted.groups, removed = removed, added = 0, addedSkipped = 0 }
  local gone
  plan.first = count(call('HGET', execution.key, 'nextTask'))
  plan.skipped, gone = findSkipped(execution, removed)
  plan.stillborn = findStillborn(execution, plan.first, plan.groups, gone)
  for _, isSkipped in ipairs(plan.stillborn) do
    plan.added = plan.added + 1
    plan.addedSkipped = plan.addedSkipped + (isSkipped and 1 or 0)
  end
  plan.ends = findEnd(execution, #removed + #plan.skipped, plan.added - plan.addedSkipped)
  return plan
end

-- The first pool that cannot take what is added, once the rest has gone, and how much waits there; nil when all can.
function editing.fullPool(execution, plan, limit)
  local more = {}
  local function add(pool, tasks)
    more[pool] = (more[pool] or 0) + tasks
  end
  for _, place in ipairs(plan.removed) do
    add(place.group.pool, place.state == 'running' and 0 or -1)
  end
  for _, task in ipairs(plan.skipped) do
    add(records.groupOfTask(execution, task).pool, -1)
  end
  local at = 0
  for _, group in ipairs(plan.groups) do
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
  for _, place in ipairs(plan.removed) do
    add(place.name .. place.state)
  end
  for _, task in ipairs(plan.skipped) do
    add('s' .. int(task))
  end
  for _, isSkipped in ipairs(plan.stillborn) do
    add(isSkipped and '-' or '+')
  end
  return redis.sha1hex(table.concat(facts, UNIT))
end

-- What it does as JSON, with the first `most` tasks by number.
function editing.changes(execution, plan, most)
  local removed, skipped = {}, {}
  for at = 1, math.min(most, #plan.removed) do
    local place = plan.removed[at]
    removed[at] = '{"task":' .. place.name .. ',"state":"' .. place.state .. '"}'
  end
  for at = 1, math.min(most, #plan.skipped) do
    skipped[at] = int(plan.skipped[at])
  end
  local fields = {
    '"added":' .. plan.added, '"addedSkipped":' .. plan.addedSkipped,
    '"removed":[' .. table.concat(removed, ',') .. ']', '"removedCount":' .. #plan.removed,
    '"skipped":[' .. table.concat(skipped, ',') .. ']', '"skippedCount":' .. #plan.skipped,
  }
  if plan.priority then
    fields[#fields + 1] = '"priority":{"from":' .. execution.priority .. ',"to":' .. plan.priority .. '}'
  end
  if plan.added > 0 then
    fields[#fields + 1] = '"firstAdded":' .. int(plan.first)
  end
  if plan.ends ~= '' then
    fields[#fields + 1] = '"ends":"' .. plan.ends .. '"'
  end
  return '{' .. table.concat(fields, ',') .. '}'
end

-- ── Doing it ────────────────────────────────────────────────────────────────────────────────────

-- What is ready stands in line anew, at the end of those as urgent.
local function setPriority(execution, priority)
  if priority == execution.priority then
    return
  end
  for no = 0, execution.groups - 1 do
    ready.withdraw(records.group(execution, no))
  end
  execution.priority = priority
  call('HSET', execution.key, 'priority', priority)
  for no = 0, execution.groups - 1 do
    local group = records.group(execution, no)
    if count(call('HGET', group.key, 'queued')) > 0 then
      ready.offer(group, 0)
    end
  end
end

local function remove(place)
  local known = place.try ~= '' and cjson.decode(place.try) or {}
  local attempt = undoing.giveUp(place) or count(known.attempt)
  leases.noteTry({ group = place.group, task = place.task }, {
    state = 'skipped', as = 'removed', attempt = attempt, failures = count(known.failures), losses = count(known.losses),
    at = now, failure = string.match(place.try, '"failure":(.*)}$'),
  })
  books.move(place.group, place.state, 'skipped', 1)
  journal.tasks(place.execution, { state = 'skipped', text = place.name, reason = 'removed' })
end

function editing.apply(execution, plan)
  if plan.priority then
    setPriority(execution, plan.priority)
  end
  for _, place in ipairs(plan.removed) do
    remove(place)
  end
  for _, place in ipairs(plan.removed) do
    dependents.skip(execution, place.task)
  end
  submitting.add(execution, plan.groups)
  books.touch(execution)
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
