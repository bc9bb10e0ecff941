-- Locks, and those who stand in line for them.
--
-- A free lock is the first one's in its line: whoever frees it calls that one, who then takes it. It is not given to
-- somebody who may have died meanwhile, so that a dead one costs the others its patience and not a lock's whole life.
-- Whoever waits asks again before its patience is over; who does not is out of the line.

-- So many at the head of a line are called, and told how long those before them have patience.
local HEAD_OF_LINE = 10

function locks.open(name)
  return {
    name = name,
    key = PREFIX .. 'lock:' .. name,
    line = PREFIX .. 'line:' .. name,
    patience = PREFIX .. 'patience:' .. name,
    callers = PREFIX .. 'callers:' .. name,
  }
end

-- Who has the lock, or nil when it is free.
function locks.holder(lock)
  local row = call('HMGET', lock.key, 'owner', 'token', 'expiresAt', 'acquiredAt', 'note')
  if row[1] and count(row[3]) > now then
    return { owner = row[1], token = row[2], expiresAt = count(row[3]), acquiredAt = row[4], note = row[5] or '' }
  end
end

-- What is told of a holder: owner, token, expires at, acquired at, note, owners in line.
function locks.view(lock, holder)
  local inLine = call('ZCOUNT', lock.patience, '(' .. int(now), '+inf')
  return holder.owner, holder.token, int(holder.expiresAt), holder.acquiredAt, holder.note, inLine
end

function locks.grant(lock, owner, how)
  local token, expiresAt = int(state.number(how.least)), now + how.ttlMs
  call('HSET', lock.key, 'owner', owner, 'token', token, 'expiresAt', int(expiresAt), 'acquiredAt', int(now), 'note', how.note)
  call('ZADD', PREFIX .. 'locks', 0, lock.name)
  state.endsAt('l', lock.name, expiresAt)
  return token, int(expiresAt)
end

-- Never shorter than before.
function locks.extend(lock, holder, ttlMs)
  local expiresAt = math.max(holder.expiresAt, now + ttlMs)
  call('HSET', lock.key, 'expiresAt', int(expiresAt))
  state.endsAt('l', lock.name, expiresAt)
  return int(expiresAt)
end

function locks.drop(lock)
  call('UNLINK', lock.key)
  call('ZREM', PREFIX .. 'locks', lock.name)
end

-- ── The line ────────────────────────────────────────────────────────────────────────────────────

function locks.leave(lock, owner)
  call('HDEL', lock.callers, owner)
  call('ZREM', lock.patience, owner)
  return call('ZREM', lock.line, owner) == 1
end

-- Those whose patience is over are out of the line.
function locks.tidy(lock)
  for _, owner in ipairs(call('ZRANGEBYSCORE', lock.patience, '-inf', int(now))) do
    locks.leave(lock, owner)
  end
end

function locks.isLine(lock)
  return call('EXISTS', lock.line) == 1
end

-- The owner's place; false when it is not in the line (any more).
function locks.rank(lock, owner)
  locks.tidy(lock)
  return call('ZRANK', lock.line, owner)
end

function locks.join(lock, owner)
  local last = call('ZRANGE', lock.line, -1, -1, 'WITHSCORES')
  call('ZADD', lock.line, int(count(last[2]) + 1), owner)
  return call('ZRANK', lock.line, owner)
end

-- `caller`: where the owner's call can be called; '' when none waits.
function locks.stay(lock, owner, how)
  local patience = now + how.patienceMs
  call('ZADD', lock.patience, int(patience), owner)
  call('ZADD', PREFIX .. 'state-ends', 'GT', int(patience), 'l:' .. lock.name)
  if how.caller == '' then
    call('HDEL', lock.callers, owner)
  else
    call('HSET', lock.callers, owner, how.caller)
  end
end

-- Milliseconds until the lock can be the caller's without a call: when the holder's time is over and the patience of
-- all before it. '' where many stand before it: its turn is not that near.
function locks.wait(lock, holder, rank)
  if rank >= HEAD_OF_LINE then
    return ''
  end
  local at = holder and holder.expiresAt or now
  if rank > 0 then
    local before = call('ZRANGE', lock.line, 0, rank - 1)
    for _, patience in ipairs(call('ZMSCORE', lock.patience, unpack(before))) do
      at = math.max(at, count(patience))
    end
  end
  return int(math.max(1, at - now))
end

-- Whether a call of the owner waits, and was told to ask again.
function locks.call(lock, owner)
  local caller = call('HGET', lock.callers, owner)
  return caller and call('PUBLISH', PREFIX .. 'caller:' .. caller, lock.name .. UNIT .. owner) > 0
end

-- Calls the first whose call waits. One before it may be between two calls, or be gone: how long the lock is kept for
-- that one, the called one finds out when it asks.
function locks.callNext(lock)
  for _, owner in ipairs(call('ZRANGE', lock.line, 0, HEAD_OF_LINE - 1)) do
    if locks.call(lock, owner) then
      return
    end
  end
end
