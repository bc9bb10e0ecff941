-- Transition acquire a lock: it is granted, or the owner stands in line for it, or is told who has it.
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] lock, [4] owner, [5] time to live (ms), [6] note or '', [7] highest token that
--           the caller knows of, [8] `ask`: does not stand in line, `join`: stands in line, `stay`: keeps its place if it
--           has one, [9] patience of who stands in line (ms), [10] most owners in line, [11] where the call can be called,
--           '' when it does not wait
-- Returns   { 'ok', owners ahead, token, expires at }, { 'ok', owners ahead, '', ms until a look is worth it ('' for unknown,
--           'gone' when the place is), then of whoever holds it: owner, token, expires at, acquired at, note, owners in line } or
--           { 'LINE_FULL' }
-- Invariant One holder at a time; the next one is the first in line. The owner who asks again has what it had.

-- @include lib/shard
-- @include lib/state
-- @include lib/locks

local lock, owner, ttlMs, way = locks.open(ARGV[3]), ARGV[4], tonumber(ARGV[5]), ARGV[8]
local holder = locks.holder(lock)

if holder and holder.owner == owner then
  return { 'ok', 0, holder.token, locks.extend(lock, holder, ttlMs) }
end

local hadLine = locks.isLine(lock)
local rank = hadLine and locks.rank(lock, owner)
local isNext = rank == 0 or not (rank or way == 'stay' or hadLine and locks.isLine(lock))
if isNext and not holder then
  if rank then
    locks.leave(lock, owner)
  end
  return { 'ok', 0, locks.grant(lock, owner, { ttlMs = ttlMs, note = ARGV[6], least = tonumber(ARGV[7]) }) }
end
if not rank and way == 'join' then
  if call('ZCARD', lock.line) >= tonumber(ARGV[10]) then
    return { 'LINE_FULL' }
  end
  rank = locks.join(lock, owner)
end
local wait = 'gone'
if rank then
  locks.stay(lock, owner, { patienceMs = tonumber(ARGV[9]), caller = ARGV[11] })
  wait = locks.wait(lock, holder, rank)
end
local ahead = rank or call('ZCARD', lock.line)
if holder then
  return { 'ok', ahead, '', wait, locks.view(lock, holder) }
end
return { 'ok', ahead, '', wait }
