-- What locks, values and checkpoints have in common: numbers that only grow, the time at which each of them may
-- be forgotten, and writes that are known again.
--
-- `state-ends` names by time what `state-purge` is to look at: `l:LOCK`, `v:KEY`, `c:SCOPE`, and `w:KEY` and `s:SCOPE`
-- for writes and saves that are known again. It may name one too early, or one that is not there any more, but never
-- too late: what is over does not count from that moment on, whether it is still there or not.

-- Of one value or scope; a busy one is known by fewer than all of its writes.
local MAX_KNOWN = 50000
local KNOWN_KEYS = { w = 'writes', s = 'saves' }

-- The number of a grant or a version: like the cursor of an event it is made from the time, so that it ascends even
-- when the last second was lost and when `least`, the highest number that the caller knows of, is another shard's.
function state.number(least)
  local meta = call('HMGET', META, 'number', 'shard')
  local number = cursors.after(math.max(count(meta[1]), least), count(meta[2]))
  call('HSET', META, 'number', int(number))
  return number
end

function state.endsAt(kind, name, time)
  call('ZADD', PREFIX .. 'state-ends', int(time), kind .. ':' .. name)
end

function state.endsNever(kind, name)
  call('ZREM', PREFIX .. 'state-ends', kind .. ':' .. name)
end

-- Known writes of one value or scope lie in two hashes, a younger and an older one. When the younger is as old as
-- writes are known, it takes the place of the older, all of which is forgotten.
local function knownKeys(kind, name)
  return PREFIX .. KNOWN_KEYS[kind] .. ':' .. name, PREFIX .. KNOWN_KEYS[kind] .. '-before:' .. name
end

-- What is known of the write of this id; `answer` is what was answered to it, if it was made less than `knownMs` ago.
function state.known(kind, name, id, knownMs)
  local young, old = knownKeys(kind, name)
  local known = { kind = kind, name = name, id = id, ms = knownMs, young = young, old = old }
  if id ~= '' then
    local row = call('HMGET', young, '', id)
    known.since = row[1]
    local found = row[2] or call('HGET', old, id)
    local parts = found and splitUnits(found)
    known.answer = parts and tonumber(parts[1]) + knownMs > now and parts or nil
  end
  return known
end

-- The answer is numbers, as text.
function state.remember(known, ...)
  if known.id == '' then
    return
  end
  local since = known.since
  if since and (tonumber(since) + known.ms <= now or call('HLEN', known.young) > MAX_KNOWN) then
    call('UNLINK', known.old)
    call('RENAME', known.young, known.old)
    since = false
  end
  if not since then
    call('HSET', known.young, '', int(now))
    -- Until then it takes writes, and the last of them is known for as long again.
    state.endsAt(known.kind, known.name, now + 2 * known.ms)
  end
  call('HSET', known.young, known.id, table.concat({ int(now), ... }, UNIT))
end

function state.forget(kind, name)
  call('UNLINK', knownKeys(kind, name))
end
