-- The order in which a pool's ready work is handed out (promise 5); the same as src/core/ready-queue.ts, but
-- for longer turns: a turn costs more here, and what is given in one turn shares its cost.
--
-- Work is kept in buckets of equal priority and required capabilities (`buckets`). Within a bucket
-- executions take turns (sorted set by the number of their last turn), within an execution its lanes
-- (task groups) are served by the numbers of their tasks. Between buckets the effective priority decides: one
-- step more for every `ageingMs` that the bucket's longest waiting execution was not served.
--
-- Tasks of a ranked group stand among the lanes one by one: the highest rank first, then the lowest number. Their entries in `again` are not read in order but taken by name.
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

-- Those of the pools whose work is handed out, to the session where one is given: lib/standby.lua.
function ready.openPools(pools, session)
  local paused = call('HMGET', PREFIX .. 'paused', ready.ALL_POOLS, unpack(pools))
  local open = {}
  for at, pool in ipairs(paused[1] and {} or pools) do
    if not paused[1 + at] and not (session and session.standby[pool]) then
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
  return cursors.turn()
end

local function mayOffer(group)
  local execution = group.execution
  return not (execution.state == 'paused' or group.notBefore or execution.isEnded or execution.isKept)
end

-- The execution stands in the bucket: it has lanes there.
local function join(group, bucket, turn)
  local key, id = ready.poolKey(group.pool), group.execution.id
  if call('ZADD', key .. ':bucket:' .. bucket, 'NX', turn, id) == 1 then
    call('HSET', key .. ':since', bucket .. UNIT .. id, int(now))
    call('SADD', key .. ':buckets', bucket)
  end
end

-- Executions without lanes leave the bucket.
local function leave(pool, bucket, ids)
  local key, fields = ready.poolKey(pool), {}
  for at, id in ipairs(ids) do
    fields[at] = bucket .. UNIT .. id
  end
  if call('ZREM', key .. ':bucket:' .. bucket, unpack(ids)) == 0 then
    return
  end
  call('HDEL', key .. ':since', unpack(fields))
  if call('EXISTS', key .. ':bucket:' .. bucket) == 0 then
    call('SREM', key .. ':buckets', bucket)
  end
end

-- ── Ranked tasks ────────────────────────────────────────────────────────────────────────────────

-- A ranked task among the lanes; `entry`: id of its entry in `again`.
local function memberOf(group, task, entry)
  return string.format('%016d:%s:%s', task, group.no, entry)
end

ready.memberOf = memberOf

-- A task group that is not ranked among the lanes: all of its tasks have the rank 0.
local function laneOf(group)
  return string.format('%016d:%s', group.first, group.no)
end

ready.laneOf = laneOf

-- The rank, as text, that a mark tells (lib/submitting.lua; false for none).
function ready.rankIn(mark)
  return mark and string.match(mark, '^[^' .. UNIT .. ']+') or '0'
end

-- A task's rank as text.
function ready.rankOf(execution, task)
  return ready.rankIn(call('HGET', execution.key .. ':marks', int(task)))
end

-- Puts a ready task of a ranked group in its place, if it may be handed out. `rank` (optional): its rank, where it is known.
function ready.rank(group, task, entry, rank)
  if mayOffer(group) then
    call('ZADD', lanesKey(group.execution, group.pool, bucketOf(group)), '-' .. (rank or ready.rankOf(group.execution, task)),
      memberOf(group, task, entry))
  end
end

-- The ready task is taken out of its place, if it has one.
function ready.unrank(group, task, entry)
  local bucket = bucketOf(group)
  local lanes = lanesKey(group.execution, group.pool, bucket)
  if group.isRanked and call('ZREM', lanes, memberOf(group, task, entry)) == 1 and call('EXISTS', lanes) == 0 then
    group.isOffered = false
    leave(group.pool, bucket, { group.execution.id })
  end
end

-- The task's group and entry in `again` that a place among the lanes stands for; nil when it is that of a group.
function ready.placeOf(member)
  return string.match(member, '^%d+:(%d+):(.+)$')
end

-- The group that it is the place of.
function ready.groupOf(member)
  return string.match(member, '%d+$')
end

local RANK_PAGE = 1000

-- All ready tasks of a ranked group, from the stream in which they wait.
local function rankAll(group)
  local key, from, pending = records.streamKey(group, 'a'), '-', {}
  orders.eachPending(group, 'a', nil, function(id)
    pending[id] = true
  end)
  repeat
    local page = group.has.again and call('XRANGE', key, from, '+', 'COUNT', RANK_PAGE) or {}
    for _, entry in ipairs(page) do
      if not pending[entry[1]] then
        ready.rank(group, leases.parse(group, 'a', entry).task, entry[1])
      end
    end
    from = #page > 0 and '(' .. page[#page][1]
  until #page < RANK_PAGE
end

-- ── Offers ──────────────────────────────────────────────────────────────────────────────────────

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

-- Puts the group into its pool's order, if it may run; `items` of it are new. Of a ranked group each of them has its place.
function ready.offer(group, items)
  if not mayOffer(group) then
    return
  end
  ready.wake(group, items)
  if group.isOffered then
    return
  end
  group.isOffered = true
  local bucket = bucketOf(group)
  local turn = nextTurnNumber()
  if group.isRanked or call('ZADD', lanesKey(group.execution, group.pool, bucket), 0, laneOf(group)) == 1 then
    join(group, bucket, turn)
  end
end

-- The group's execution has the next turn among its equals: its work was lost with a worker, and has waited before.
function ready.recall(group)
  call('ZADD', ready.poolKey(group.pool) .. ':bucket:' .. bucketOf(group), 'XX', 0, group.execution.id)
end

-- The same for all that a group has, which may not have been handed out so far.
function ready.offerAll(group, items)
  if group.isRanked and mayOffer(group) then
    rankAll(group)
  end
  ready.offer(group, items)
end

-- Takes the group out: it has no work left, or its execution is paused or has ended, or goes elsewhere, and all of its
-- groups with it.
function ready.withdraw(group)
  group.isOffered = false
  local bucket = bucketOf(group)
  local lanes = lanesKey(group.execution, group.pool, bucket)
  -- A Holdfast of format 1 (index.ts) knew the place of a group by its number alone.
  local gone = group.isRanked and call('UNLINK', lanes) or call('ZREM', lanes, laneOf(group), group.no)
  if gone > 0 and call('EXISTS', lanes) == 0 then
    leave(group.pool, bucket, { group.execution.id })
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

-- ── Turns ───────────────────────────────────────────────────────────────────────────────────────

local HEADS_PAGE = 64

-- The bucket's next executions, in their order.
local function readHeads(one)
  local key = ready.poolKey(one.pool)
  local found = call('ZRANGE', key .. ':bucket:' .. one.bucket, 0, HEADS_PAGE - 1, 'WITHSCORES')
  one.heads, one.at = {}, 1
  if #found == 0 then
    return
  end
  local fields = {}
  for at = 1, #found, 2 do
    fields[#fields + 1] = one.bucket .. UNIT .. found[at]
  end
  for at, since in ipairs(call('HMGET', key .. ':since', unpack(fields))) do
    one.heads[at] = { id = found[2 * at - 1], turn = tonumber(found[2 * at]), since = count(since) }
  end
end

-- What the session may take work from, as it is at this moment; for `ready.nextTurn`, which keeps it up to date.
function ready.order(session, pools, ageingMs)
  local order = { ageingMs = ageingMs }
  for _, pool in ipairs(pools) do
    for _, bucket in ipairs(call('SMEMBERS', ready.poolKey(pool) .. ':buckets')) do
      local requires = string.match(bucket, '^%d+' .. UNIT .. '(.*)$') or ''
      if ready.fits(session.capabilities, requires) then
        local one = { pool = pool, bucket = bucket, priority = tonumber(string.match(bucket, '^%d+')), gone = {} }
        one.size = call('ZCARD', ready.poolKey(pool) .. ':bucket:' .. bucket)
        readHeads(one)
        order[#order + 1] = one
      end
    end
  end
  return order
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

-- Those who have no lanes any more.
local function leaveAll(one)
  if #one.gone > 0 then
    leave(one.pool, one.bucket, one.gone)
    one.gone = {}
  end
end

local function headOf(one)
  if not one.heads[one.at] and one.size > 0 then
    leaveAll(one)
    readHeads(one)
  end
  return one.heads[one.at]
end

-- The execution whose turn it is for the session and how many leases it may give; nil when none is ready. A turn: id, place
-- (its bucket), lanes (their key), lane (the first of them).
function ready.nextTurn(order, wanted)
  local best, place
  local rivals = 0
  for _, one in ipairs(order) do
    local head = headOf(one)
    if head then
      head.effective = math.min(MAX_PRIORITY, one.priority + math.floor((now - head.since) / order.ageingMs))
      if best == nil or head.effective > best.effective then
        rivals = one.size
      elseif head.effective == best.effective then
        rivals = rivals + one.size
      end
      if best == nil or isBefore(head, best) then
        best, place = head, one
      end
    end
  end
  if best == nil then
    return nil
  end
  local execution = records.execution(best.id)
  local lanes = lanesKey(execution, place.pool, place.bucket)
  local turn = { id = best.id, execution = execution, place = place, lanes = lanes }
  turn.lane = call('ZRANGE', lanes, 0, 0)[1]
  return turn, math.max(MIN_QUOTA, math.ceil(wanted / rivals))
end

-- The turn is over. `isEmpty`: the execution has no lanes left.
function ready.endTurn(order, turn, isEmpty)
  local one = turn.place
  local head = one.heads[one.at]
  one.at = one.at + 1
  if isEmpty then
    one.size = one.size - 1
    one.gone[#one.gone + 1] = turn.id
    return
  end
  if one.size > 1 or #order > 1 then
    head.turn, head.since = nextTurnNumber(), now
    call('ZADD', ready.poolKey(one.pool) .. ':bucket:' .. one.bucket, head.turn, turn.id)
    call('HSET', ready.poolKey(one.pool) .. ':since', one.bucket .. UNIT .. turn.id, int(now))
  end
  -- Behind those that were read only if those are all.
  if #one.heads - one.at + 2 >= one.size then
    one.heads[#one.heads + 1] = head
  end
end

-- Nothing more is taken.
function ready.close(order)
  for _, one in ipairs(order) do
    leaveAll(one)
  end
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
