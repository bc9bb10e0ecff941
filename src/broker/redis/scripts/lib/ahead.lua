-- How much work of its pool comes before a task that waits: about, because a bounded number of task groups is looked at, and
-- because work that is as urgent comes in turns: of each such execution as much as comes first in the task's own.

local MAX_LANES = 5000
local MAX_ENTRIES = 1000

-- Groups that may still be looked at for this task.
local lanesLeft

-- Items that wait in an execution's part of a pool's bucket (`order` names both): in its first `places`, or in all of it (nil).
local function queuedIn(id, order, places)
  local key = PREFIX .. 'exec:' .. id
  local most = math.min(places or MAX_LANES, math.max(0, lanesLeft))
  local items = 0
  for _, lane in ipairs(most > 0 and call('ZRANGE', key .. ':lanes:' .. order, 0, most - 1) or {}) do
    lanesLeft = lanesLeft - 1
    local isTask = ready.placeOf(lane)
    items = items + (isTask and 1 or count(call('HGET', key .. ':group:' .. ready.groupOf(lane), 'queued')))
  end
  return items
end

-- Entries of the group's work that came back, up to `id` (nil: all), that nobody has yet.
local function waitingAgain(group, id)
  if not group.has.again then
    return 0
  end
  local key = records.streamKey(group, 'a')
  if not id then
    return call('XLEN', key) - call('XPENDING', key, group.pool)[1]
  end
  local waiting = #call('XRANGE', key, '-', '(' .. id, 'COUNT', MAX_ENTRIES)
  return math.max(0, waiting - #call('XPENDING', key, group.pool, '-', '(' .. id, MAX_ENTRIES))
end

local function aheadInGroup(group, task, entry)
  if group.length or group.isRanked then
    return 0
  elseif entry then
    return waitingAgain(group, entry)
  end
  local first = math.max(group.first, records.lastDelivered(group) + 1)
  return waitingAgain(group) + math.max(0, tonumber(task) - first)
end

-- Items that come before the task, whose entry in `again` is given where it has one.
function ahead.of(group, task, entry)
  local execution = group.execution
  lanesLeft = MAX_LANES
  local bucket = ready.bucketOf(group)
  local lane = (group.isRanked and entry) and ready.memberOf(group, task, entry) or ready.laneOf(group)
  local place = call('ZRANK', ready.lanesKey(execution, group.pool, bucket), lane)
  local own, urgent, rivals = aheadInGroup(group, task, entry), 0, {}
  for _, other in ipairs(call('SMEMBERS', ready.poolKey(group.pool) .. ':buckets')) do
    local priority, order = tonumber(string.match(other, '^%d+')), group.pool .. UNIT .. other
    local ids = priority >= execution.priority
      and call('ZRANGE', ready.poolKey(group.pool) .. ':bucket:' .. other, 0, math.max(0, lanesLeft - 1)) or {}
    for _, id in ipairs(ids) do
      if id == execution.id then
        own = own + (place and queuedIn(id, order, place) or 0)
      elseif priority > execution.priority then
        urgent = urgent + queuedIn(id, order)
      else
        rivals[#rivals + 1] = queuedIn(id, order)
      end
    end
  end
  local turns = 0
  for _, items in ipairs(rivals) do
    turns = turns + math.min(items, own)
  end
  return urgent + own + turns
end
