-- Limits of pools: of a pool's live sessions only the first `max` get its work, in the order in which they opened; the
-- others stand by for one of them to end.
--
-- The sessions of a pool stand in its sorted set `members` by their number in the first shard, so that all shards agree on
-- who comes first. In which pools it stands by is written at the session, whenever that changes: a claim reads nothing more
-- for it.

local function membersKey(pool)
  return ready.poolKey(pool) .. ':members'
end

local function maxOf(pool)
  return tonumber(call('HGET', ready.poolKey(pool), 'max') or nil)
end

-- Sessions that serve the pool, in their order.
function standby.members(pool)
  return call('ZRANGE', membersKey(pool), 0, -1)
end

function standby.isMember(pool, id)
  return call('ZSCORE', membersKey(pool), id) ~= false
end

-- Whether who has this place, from 0, stands by.
function standby.isBeyond(pool, place)
  local max = maxOf(pool)
  return max ~= nil and place >= max
end

-- The session stands by in the pool from now on, or no longer: then it is called, for there may be work for it.
local function mark(pool, id, isStandby)
  local session = records.session(id)
  if not session or (session.standby[pool] or false) == isStandby then
    return
  end
  session.standby[pool] = isStandby or nil
  local pools = {}
  for name in pairs(session.standby) do
    pools[#pools + 1] = name
  end
  if #pools == 0 then
    call('HDEL', session.key, 'standby')
  else
    call('HSET', session.key, 'standby', table.concat(pools, UNIT))
  end
  if isStandby then
    call('ZREM', ready.poolKey(pool) .. ':idle', id)
  else
    ready.tell(id)
  end
end

standby.mark = mark

-- The member at a place, from 0.
local function markAt(pool, place, isStandby)
  local id = place >= 0 and call('ZRANGE', membersKey(pool), place, place)[1]
  if id then
    mark(pool, id, isStandby)
  end
end

-- A session that serves the pool has opened; `order`: its number in the first shard. It may come before others here.
function standby.join(pool, id, order)
  call('ZADD', membersKey(pool), order, id)
  local max = maxOf(pool)
  if max and call('ZRANK', membersKey(pool), id) >= max then
    mark(pool, id, true)
  elseif max then
    markAt(pool, max, true)
  end
end

-- A session that serves the pool has ended: the first that stands by takes its place.
function standby.leave(pool, id)
  local max = maxOf(pool)
  local place = max and call('ZRANK', membersKey(pool), id)
  call('ZREM', membersKey(pool), id)
  if place and place < max then
    markAt(pool, max - 1, false)
  end
end

-- The pool's limit from now on, nil for none: those between the old one and the new one stand by, or no longer.
function standby.limit(pool, max)
  local before = maxOf(pool) or math.huge
  if max then
    call('HSET', ready.poolKey(pool), 'max', int(max))
  else
    call('HDEL', ready.poolKey(pool), 'max')
  end
  local after = max or math.huge
  if before == after then
    return
  end
  local from, beyond = math.min(before, after), math.max(before, after)
  for _, id in ipairs(call('ZRANGE', membersKey(pool), int(from), beyond == math.huge and '-1' or int(beyond - 1))) do
    mark(pool, id, after < before)
  end
end
