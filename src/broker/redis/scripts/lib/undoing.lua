-- Tasks lose what they have, to be run again: results, leases, places in queues, letters.
--
-- A result that was taken back is not read any more: `retaken` says how many results had been told by then, and those of
-- the task among them are passed over. Its attempts go on counting.
--
-- Of many tasks a page is taken back per call. A child that is reached later than its parents may meanwhile have run with
-- their old results, or have been finished by them: it loses that all the same, and finds its parents as they are by then.

-- The task and all that comes after it, by number; the children of each; and whether all of them have higher numbers than
-- their parents, as they have when nobody has rewired anything and no task has added others that it waits for.
local function findBelow(execution, task)
  local found, below, isUphill = { task }, {}, true
  local at = 1
  while at <= #found do
    local parent, children = found[at], {}
    for child in dependents.childrenOf(execution, parent) do
      local number = tonumber(child)
      children[#children + 1] = number
      isUphill = isUphill and number > parent
    end
    below[parent] = children
    for _, number in ipairs(children) do
      if not below[number] then
        below[number] = {}
        found[#found + 1] = number
      end
    end
    at = at + 1
  end
  table.sort(found)
  return found, below, isUphill
end

-- What comes after the task, each after its parents.
local function inOrder(task, below)
  local ended, stack, reached, seen = {}, { task }, { 1 }, { [task] = true }
  while #stack > 0 do
    local top = stack[#stack]
    local child = below[top][reached[#reached]]
    reached[#reached] = reached[#reached] + 1
    if child == nil then
      ended[#ended + 1] = table.remove(stack)
      table.remove(reached)
    elseif not seen[child] then
      seen[child] = true
      stack[#stack + 1] = child
      reached[#reached + 1] = 1
    end
  end
  local order = {}
  for at = #ended, 1, -1 do
    order[#order + 1] = ended[at]
  end
  return order
end

-- Of the task and all that comes after it, parents before their children: up to `page` beyond the task `after` (-1: from the
-- first on); and the last of these ('' when no others follow). And all of them, as a set.
function undoing.descendants(execution, task, after, page)
  local order, below, isUphill = findBelow(execution, task)
  if not isUphill then
    order = inOrder(task, below)
  end
  local chosen, isBeyond = {}, after < 0
  for _, one in ipairs(order) do
    if isBeyond and #chosen < page then
      chosen[#chosen + 1] = one
    end
    isBeyond = isBeyond or one == after
  end
  local last = chosen[#chosen]
  return chosen, (last and last ~= order[#order]) and int(last) or '', below
end

-- What each state has, given up. Each returns the attempts so far.
local give = {}

function give.completed(place)
  local key, task = place.execution.key, place.name
  call('HDEL', key .. ':results', task)
  call('HSET', key .. ':retaken', task, place.told)
  return math.max(count(string.match(place.result, '^{"entry":"[^"]+","attempt":(%d+)')), 1)
end

function give.running(place)
  local group = place.group
  local kind = place.entry and 'a' or 'q'
  local lease = leases.read(group, kind, place.entry or place.name .. '-1')
  local session = records.session(place.owner)
  if session then
    orders.stop(session, lease)
    books.hold(session, group, -1)
  end
  leases.drop(lease)
  return lease.attempt
end

local function leaveQueue(place)
  local kind = place.entry and 'a' or 'q'
  if place.entry then
    ready.unrank(place.group, place.task, place.entry)
  end
  call('XDEL', records.streamKey(place.group, kind), place.entry or place.name .. '-1')
end

function give.queued(place)
  leaveQueue(place)
end

function give.scheduled(place)
  suspending.leave(place.execution, place.task)
  if call('HDEL', place.execution.key .. ':later', place.name) == 1 then
    if place.group.notBefore then
      call('HINCRBY', place.group.key, 'apart', -1)
    end
    call('ZREM', PREFIX .. 'due', 't:' .. place.group.no .. ':' .. place.name .. ':' .. place.execution.id)
  else
    leaveQueue(place)
  end
end

function give.failed(place)
  letters.remove(place.execution, place.name)
  call('ZREM', place.execution.key .. ':discarded', place.name)
end

function give.skipped() end

function give.blocked(place)
  suspending.leave(place.execution, place.task)
  call('HDEL', place.execution.key .. ':blocked', place.name)
  call('HDEL', place.execution.key .. ':waits', place.name)
end

local MAX_SPAN = 500

-- Facts of tasks of one group that lie near each other in ascending order, from `tasks[at]` on; and the place of the first
-- task beyond.
local function factsFrom(execution, tasks, at)
  local group = records.groupOfTask(execution, tasks[at])
  local last = math.min(tasks[at] + MAX_SPAN, group.first + group.count) - 1
  local beyond = at
  while tasks[beyond] and tasks[beyond] <= last and (beyond == at or tasks[beyond] > tasks[beyond - 1]) do
    beyond = beyond + 1
  end
  return group, whereabouts.read(group, tasks[at], tasks[beyond - 1]), beyond
end

local function placeOf(group, task, facts)
  local name = int(task)
  local state, entry, owner = whereabouts.of(group, name, facts)
  return {
    execution = group.execution, group = group, name = name, task = task, state = state, entry = entry, owner = owner,
    result = facts.results[name], try = facts.tries[name] or '',
  }
end

local function isFresh(place)
  return count(string.match(place.try, '"failures":(%d+)')) + count(string.match(place.try, '"losses":(%d+)')) == 0
end

-- Where the task goes, seeing how its parents are now, and how many of them it waits for.
local function targetOf(place, parents)
  local isRescue = place.group.isRescue
  local open, isDead = replaying.openParents(place.execution, not isRescue and parents or nil, place.task)
  if isRescue then
    open = open + call('SISMEMBER', place.execution.key .. ':rescue', place.name)
  end
  if isDead then
    return 'skipped', open
  elseif open > 0 then
    return 'blocked', open
  end
  return place.group.notBefore and 'scheduled' or 'queued', open
end

local function put(place, target, content, open)
  local lease = { group = place.group, task = place.task, input = content.input, parents = content.parents }
  local how = { state = target, attempt = content.attempt, failures = 0, losses = 0, passes = false }
  if target == 'blocked' then
    replaying.block(place.group, place.task, content, open)
  elseif target == 'skipped' then
    how.at = now
    leases.noteTry(lease, how)
  else
    how.state = 'queued'
    how.entry = leases.enqueueAgain(lease, how)
    leases.noteTry(lease, how)
  end
end

local function move(place, target)
  if place.state == target then
    return
  end
  books.move(place.group, place.state, target, 1)
  journal.tasks(place.execution, { state = target, text = place.name, reason = 'rerun' })
  if target == 'queued' then
    ready.offer(place.group, 1)
  end
end

-- What the place has is given up; its attempts so far, where they are known from that.
function undoing.giveUp(place)
  return give[place.state](place)
end

-- Whether the task will be run again.
local function reset(place)
  if place.state == 'completed' or place.state == 'failed' then
    leases.endHold(place.execution, place.task)
  end
  if replaying.isRemoved(place.try) then
    return false
  end
  local content = {}
  content.input, content.parents = replaying.inputOf(place.execution, place.task)
  if place.state == 'vanished' or not content.input then
    return false
  end
  local target, open = targetOf(place, content.parents)
  if target == 'skipped' and place.state == 'skipped' then
    return false
  end
  -- Nothing to take back.
  local isSame = place.state == target and (target == 'queued' or target == 'scheduled') and isFresh(place)
  if not isSame then
    content.attempt = give[place.state](place) or count(string.match(place.try, '"attempt":(%d+)'))
    put(place, target, content, open)
    move(place, target)
  end
  return target ~= 'skipped'
end

-- Calls `visit` with the place of each of the tasks; cheapest in ascending order.
function undoing.each(execution, tasks, visit)
  local at = 1
  while at <= #tasks do
    local group, facts, beyond = factsFrom(execution, tasks, at)
    for one = at, beyond - 1 do
      visit(placeOf(group, tasks[one], facts))
    end
    at = beyond
  end
end

-- The task that the place is of is taken away by hand.
function undoing.remove(place, reason)
  local known = place.try ~= '' and cjson.decode(place.try) or {}
  local attempt = undoing.giveUp(place) or count(known.attempt)
  leases.noteTry({ group = place.group, task = place.task }, {
    state = 'skipped', as = 'removed', attempt = attempt, failures = count(known.failures), losses = count(known.losses),
    at = now, failure = string.match(place.try, '"failure":(.*)}$'),
  })
  if place.group.isRescue then
    call('SREM', place.execution.key .. ':rescue', place.name)
  end
  books.move(place.group, place.state, 'skipped', 1)
  journal.tasks(place.execution, { state = 'skipped', text = place.name, reason = reason })
end

local UNENDED = { blocked = true, scheduled = true, queued = true, running = true }

-- Tasks that others had added, and those that these had added, are removed unless they have ended.
local function removeAdded(execution, added)
  local removed = {}
  while #added > 0 do
    table.sort(added)
    local more = {}
    undoing.each(execution, added, function(place)
      if UNENDED[place.state] then
        suspending.eachAdded(suspending.of(execution, place.task), function(task)
          more[#more + 1] = task
        end)
        undoing.remove(place, 'removed')
        removed[#removed + 1] = place.task
      end
    end)
    added = more
  end
  for _, task in ipairs(removed) do
    dependents.skipAfter(execution, task)
  end
end

-- Whether the task runs again only because one that it had added does.
local function isDrawnIn(execution, task, how)
  local _, parents = replaying.inputOf(execution, task)
  for _, parent in ipairs(parents and cjson.decode(parents) or {}) do
    if how.all[parent] then
      return false
    end
  end
  return task ~= how.first
end

-- What had suspended itself starts from the beginning; or it waits again, if it waits for one of these.
local function resetSuspensions(execution, tasks, how)
  local added = {}
  for _, task in ipairs(execution.suspends and tasks or {}) do
    local record = suspending.of(execution, task)
    if record and record.kind == 'tasks' and isDrawnIn(execution, task, how) then
      suspending.sleepAgain(execution, task)
    elseif record then
      for _, one in ipairs(suspending.forget(execution, task)) do
        added[#added + 1] = one
      end
    end
  end
  removeAdded(execution, added)
end

-- How many of the tasks will be run again. `how`: first, the task by which it began, and all, the set of all that come after
-- it.
function undoing.reset(execution, tasks, how)
  resetSuspensions(execution, tasks, how)
  local told = count(call('HGET', execution.key, 'told'))
  call('HSET', execution.key, 'reran', '1')
  local total = 0
  undoing.each(execution, tasks, function(place)
    place.told = told
    total = total + (reset(place) and 1 or 0)
  end)
  return total
end
