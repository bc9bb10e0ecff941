-- Transition release a lock, or a place in its line: the next in line is called, and a call that waited for the place.
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] lock, [4] owner
-- Returns   { 'ok', 1 when the owner had the lock or a place }
-- Invariant Nobody but the owner gives it back. A lock that is free with an empty line leaves nothing behind.

-- @include lib/shard
-- @include lib/state
-- @include lib/locks

local lock, owner = locks.open(ARGV[3]), ARGV[4]
local holder = locks.holder(lock)
local isHolder = holder and holder.owner == owner
local isReleased, hadLine = isHolder, locks.isLine(lock)
if hadLine and locks.rank(lock, owner) then
  locks.call(lock, owner)
  isReleased = locks.leave(lock, owner)
end
if isHolder or not holder then
  locks.drop(lock)
  if hadLine and locks.isLine(lock) then
    locks.callNext(lock)
  else
    state.endsNever('l', lock.name)
  end
end
return { 'ok', isReleased and 1 or 0 }
