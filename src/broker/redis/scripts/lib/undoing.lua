-- Tasks lose what they have, to be run again: results, leases, places in queues, letters.
--
-- A result that was taken back is not read any more: `retaken` says how many results had been told by then, and those of
-- the task among them are passed over. Its attempts go on counting.
--
-- Of many tasks a page is taken back per call. A child that is reached later than its parents may meanwhile have run with
-- their old results, or have been finished by them: it loses that all the same, and finds its parents as they are by then.

-- Of the task and all that comes after it, up to `page` beyond the task `after`; and the last of these ('' when no others
-- follow). Parents come before children: they have lower numbers.
function undoing.descendants(execution, task, after, page)
  local found, seen = { task }, { [task] = true }
  local at = 1
  while at <= #found do
    for child in dependents.childrenOf(execution, found[at]) do
      local number = tonumber(child)
      if not seen[number] then
        seen[number] = true
        found[#found + 1] = number
      end
    end
    at = at + 1
  end
  table.sort(found)
  local chosen = {}
  for _, one in ipairs(found) do
    if one > after and #chosen < page then
      chosen[#chosen + 1] = one
    end
  end
  local last = chosen[#chosen]
  return chosen, (last and last < found[#found]) and int(last) or ''
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
  call('XDEL', records.streamKey(place.group, kind), place.entry or place.name .. '-1')
end

function give.queued(place)
  leaveQueue(place)
end

function give.scheduled(place)
  if call('HDEL', place.execution.key .. ':later', place.name) == 1 then
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
  call('HDEL', place.execution.key .. ':blocked', place.name)
  call('HDEL', place.execution.key .. ':waits', place.name)
end

local MAX_SPAN = 500

-- Facts of tasks of one group that lie near each other, from `tasks[at]` on; and the place of the first task beyond.
local function factsFrom(execution, tasks, at)
  local group = records.groupOfTask(execution, tasks[at])
  local last = math.min(tasks[at] + MAX_SPAN, group.first + group.count) - 1
  local beyond = at
  while tasks[beyond] and tasks[beyond] <= last do
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
  local open, isDead = replaying.openParents(place.execution, parents)
  if isDead then
    return 'skipped', open
  elseif open > 0 then
    return 'blocked', open
  end
  return place.group.notBefore and 'scheduled' or 'queued', open
end

local function put(place, target, content, open)
  local lease = { group = place.group, task = place.task, input = content.input, parents = content.parents }
  local how = { state = target, attempt = content.attempt, failures = 0, losses = 0 }
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

-- Calls `visit` with the place of each of the tasks, which are in ascending order.
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

-- How many of the tasks, in ascending order, will be run again.
function undoing.reset(execution, tasks)
  local told = count(call('HGET', execution.key, 'told'))
  call('HSET', execution.key, 'reran', '1')
  local total = 0
  undoing.each(execution, tasks, function(place)
    place.told = told
    total = total + (reset(place) and 1 or 0)
  end)
  return total
end
