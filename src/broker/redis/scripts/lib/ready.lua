-- The order in which a pool's ready work is handed out (promise 5); the same as src/core/ready-queue.ts, but
-- for longer turns: a turn costs more here, and what is given in one turn shares its cost.
--
-- Work is kept in buckets of equal priority and required capabilities (`buckets`). Within a bucket
-- executions take turns (sorted set by the number of their last turn), within an execution its lanes
-- (task groups) are served first in, first out. Between buckets the effective priority decides: one
-- step more for every `ageingMs` that the bucket's longest waiting execution was not served.
--
-- Claims that found nothing leave their session in the pool's `idle` set, and the name of the process that waits with the
-- session. Whoever makes work ready takes out as many as it has work for: a little work is sent right along, to the
-- channel of that process; of much they are told on their own channels to claim it. A session for which nobody waits
-- any more is passed over.

eachCall(function()
  ready.wakes = {}
end)

local MAX_PRIORITY = 10
local MIN_QUOTA = 64

-- In place of a pool's name: every one.
ready.ALL_POOLS = '*'

-- Those of the pools whose work is handed out.
function ready.openPools(pools)
  local paused = call('HMGET', PREFIX .. 'paused', ready.ALL_POOLS, unpack(pools))
  local open = {}
  for at, pool in ipairs(paused[1] and {} or pools) do
    if not paused[1 + at] then
      open[#open + 1] = pool
    end
  end
  return open
end

function ready.poolKey(pool)
  return PREFIX .. 'pool:' .. pool
end

-- The first pool that cannot take what is to be added to it, and how much waits there; nil when all can. `added`: tasks
-- by pool.
function ready.overfull(added, limit)
  for pool, tasks in pairs(added) do
    local depth = count(call('HGET', ready.poolKey(pool), 'depth'))
    if tasks > 0 and depth + tasks > limit then
      return pool, depth
    end
  end
end

local function bucketOf(group)
  local bucket = tostring(group.execution.priority)
  if group.requires ~= '' then
    bucket = bucket .. UNIT .. group.requires
  end
  return bucket
end

ready.bucketOf = bucketOf

local function lanesKey(execution, pool, bucket)
  return execution.key .. ':lanes:' .. pool .. UNIT .. bucket
end

ready.lanesKey = lanesKey

local function nextTurnNumber()
  return call('HINCRBY', META, 'turn', 1)
end

-- `items` of the group can be run: as many of those who wait will be called.
function ready.wake(group, items)
  local name = group.pool .. UNIT .. group.requires
  local wake = ready.wakes[name]
  if wake then
    wake.items = wake.items + items
  else
    ready.wakes[name] = { pool = group.pool, requires = group.requires, items = items }
  end
end

-- Puts the group into its pool's order, if it may run; `items` of it are new.
function ready.offer(group, items)
  if group.execution.state == 'paused' or group.notBefore or group.execution.isEnded then
    return
  end
  ready.wake(group, items)
  if group.isOffered then
    return
  end
  group.isOffered = true
  local bucket = bucketOf(group)
  local turn = nextTurnNumber()
  if call('ZADD', lanesKey(group.execution, group.pool, bucket), 'NX', turn, group.no) == 0 then
    return
  end
  local key = ready.poolKey(group.pool)
  if call('ZADD', key .. ':bucket:' .. bucket, 'NX', turn, group.execution.id) == 1 then
    call('HSET', key .. ':since', bucket .. UNIT .. group.execution.id, int(now))
    call('SADD', key .. ':buckets', bucket)
  end
end

-- Takes the group out: it has no work left, or its execution is paused or has ended.
function ready.withdraw(group)
  group.isOffered = false
  local bucket = bucketOf(group)
  local lanes = lanesKey(group.execution, group.pool, bucket)
  if call('ZREM', lanes, group.no) == 0 or call('EXISTS', lanes) == 1 then
    return
  end
  local key = ready.poolKey(group.pool)
  call('ZREM', key .. ':bucket:' .. bucket, group.execution.id)
  call('HDEL', key .. ':since', bucket .. UNIT .. group.execution.id)
  if call('EXISTS', key .. ':bucket:' .. bucket) == 0 then
    call('SREM', key .. ':buckets', bucket)
  end
end

-- Whether a worker with these capabilities (each between separators) has all that is required.
function ready.fits(capabilities, requires)
  if requires == '' then
    return true
  end
  for _, one in ipairs(splitUnits(requires)) do
    if not string.find(capabilities, UNIT .. one .. UNIT, 1, true) then
      return false
    end
  end
  return true
end

-- The head of a bucket as a candidate for the next turn.
local function headOf(pool, bucket)
  local key = ready.poolKey(pool)
  local head = call('ZRANGE', key .. ':bucket:' .. bucket, 0, 0, 'WITHSCORES')
  if #head == 0 then
    return nil
  end
  local since = call('HGET', key .. ':since', bucket .. UNIT .. head[1])
  return {
    pool = pool, bucket = bucket, id = head[1], turn = tonumber(head[2]), since = count(since),
    priority = tonumber(string.match(bucket, '^%d+')),
  }
end

local function isBefore(one, other)
  if one.effective ~= other.effective then
    return one.effective > other.effective
  end
  if one.since ~= other.since then
    return one.since < other.since
  end
  return one.turn < other.turn
end

-- The group whose turn it is for the session, and how many leases it may give; nil when none is ready.
function ready.nextTurn(session, pools, wanted, ageingMs)
  local best
  local rivals, buckets = 0, 0
  for _, pool in ipairs(pools) do
    for _, bucket in ipairs(call('SMEMBERS', ready.poolKey(pool) .. ':buckets')) do
      local requires = string.match(bucket, '^%d+' .. UNIT .. '(.*)$') or ''
      local head = ready.fits(session.capabilities, requires) and headOf(pool, bucket)
      if head then
        head.effective = math.min(MAX_PRIORITY, head.priority + math.floor((now - head.since) / ageingMs))
        local size = call('ZCARD', ready.poolKey(pool) .. ':bucket:' .. bucket)
        head.isAlone = size == 1
        buckets = buckets + 1
        if best == nil or head.effective > best.effective then
          rivals = size
        elseif head.effective == best.effective then
          rivals = rivals + size
        end
        if best == nil or isBefore(head, best) then
          best = head
        end
      end
    end
  end
  if best == nil then
    return nil
  end
  local key = ready.poolKey(best.pool)
  if not best.isAlone or buckets > 1 then
    call('ZADD', key .. ':bucket:' .. best.bucket, nextTurnNumber(), best.id)
    call('HSET', key .. ':since', best.bucket .. UNIT .. best.id, int(now))
  end
  local execution = records.execution(best.id)
  local lane = call('ZRANGE', lanesKey(execution, best.pool, best.bucket), 0, 0)
  return records.group(execution, lane[1]), math.max(MIN_QUOTA, math.ceil(wanted / rivals))
end

-- ── Calling those who wait ──────────────────────────────────────────────────────────────────────

local function channelOf(id)
  return PREFIX .. 'session:' .. id
end

-- Tells all who know of a session that it has ended.
function ready.tellEnd(id)
  call('PUBLISH', channelOf(id), 'ended')
end

-- Tells a session that there is news for it: whether somebody heard.
function ready.tell(id)
  return call('PUBLISH', channelOf(id), '') > 0
end

-- With so little work it is not the number of calls that counts but the time until it starts.
local MOST_HANDED_OVER = 64
-- Texts that a message carries at most, bytes; the lease that reaches it is the last one.
local HANDOVER_ROOM = 65536

-- Claims for a session that waits, and sends what it gets to the process that waits with it, which saves that the way here
-- and back. How many leases it got; nil when the process is gone. A session may be served by several processes in turn:
-- the others must not hear of leases that they did not ask for.
local function handOver(session, most)
  local wants = call('HMGET', session.key, 'wantsLeases', 'wantsAgeingMs', 'wantsFor')
  local channel = PREFIX .. 'process:' .. (wants[3] or '')
  if call('PUBSUB', 'NUMSUB', channel)[2] == 0 then
    return nil
  end
  local lanes, taken = claiming.claim(session, {
    max = math.min(most, count(wants[1])), room = HANDOVER_ROOM, ageingMs = count(wants[2]), waiting = '2',
  })
  if taken > 0 then
    call('PUBLISH', channel, cjson.encode({ session.id, session.no, lanes }))
  else
    claiming.wait(session)
  end
  return taken
end

local IDLE_PAGE = 64

-- Calls, or gives work to, as many idle sessions as there is work for and that may run it.
local function wakeIdle(wake)
  local key = ready.poolKey(wake.pool) .. ':idle'
  local isLittle = wake.items <= MOST_HANDED_OVER
  local skipped = 0
  local left = wake.items
  while left > 0 do
    local page = call('ZRANGE', key, skipped, skipped + IDLE_PAGE - 1)
    if #page == 0 then
      return
    end
    for _, id in ipairs(page) do
      local session = records.session(id)
      if left <= 0 then
        return
      elseif session and not ready.fits(session.capabilities, wake.requires) then
        skipped = skipped + 1
      else
        call('ZREM', key, id)
        if not session then
          -- It ended; whoever waits for it knows.
          ready.tell(id)
        elseif isLittle then
          local given = handOver(session, left)
          skipped = skipped + (given == 0 and 1 or 0)
          left = left - (given or 0)
        elseif ready.tell(id) then
          left = left - 1
        end
      end
    end
  end
end

function ready.flush()
  -- What is handed over here makes no new work ready.
  local wakes = ready.wakes
  ready.wakes = {}
  for _, wake in pairs(wakes) do
    if #ready.openPools({ wake.pool }) > 0 then
      wakeIdle(wake)
    end
  end
end
