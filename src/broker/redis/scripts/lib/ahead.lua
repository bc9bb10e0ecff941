-- How much work of its pool comes before a task that waits: about, because a bounded number of task groups is looked at, and
-- because work that is as urgent comes in turns: of each such execution as much as comes first in the task's own.

local MAX_LANES = 5000
local MAX_ENTRIES = 1000

-- Groups that may still be looked at for this task.
local lanesLeft

-- Items that wait in the execution's groups of a pool's bucket (`order` names both), up to the one that had its turn at
-- `turn` (nil: in all).
local function queuedIn(id, order, turn)
  local key = PREFIX .. 'exec:' .. id
  local lanes = call('ZRANGEBYSCORE', key .. ':lanes:' .. order, '-inf', turn and '(' .. turn or '+inf', 'LIMIT', 0,
    math.max(0, lanesLeft))
  local items = 0
  for _, no in ipairs(lanes) do
    lanesLeft = lanesLeft - 1
    items = items + count(call('HGET', key .. ':group:' .. no, 'queued'))
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
  if group.length then
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
  local turn = call('ZSCORE', ready.lanesKey(execution, group.pool, bucket), group.no)
  local own, urgent, rivals = aheadInGroup(group, task, entry), 0, {}
  for _, other in ipairs(call('SMEMBERS', ready.poolKey(group.pool) .. ':buckets')) do
    local priority, order = tonumber(string.match(other, '^%d+')), group.pool .. UNIT .. other
    local ids = priority >= execution.priority
      and call('ZRANGE', ready.poolKey(group.pool) .. ':bucket:' .. other, 0, math.max(0, lanesLeft - 1)) or {}
    for _, id in ipairs(ids) do
      if id == execution.id then
        own = own + (turn and queuedIn(id, order, turn) or 0)
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
