-- Transition extend a lock: it lives longer, as long as it is still the owner's.
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] lock, [4] owner, [5] time to live from now (ms)
-- Returns   { 'ok', token, expires at } or { 'LOCK_LOST' }
-- Invariant A lock whose time was over is not taken back by this.

-- @include lib/shard
-- @include lib/state
-- @include lib/locks

local lock = locks.open(ARGV[3])
local holder = locks.holder(lock)
if not holder or holder.owner ~= ARGV[4] then
  return { 'LOCK_LOST' }
end
return { 'ok', holder.token, locks.extend(lock, holder, tonumber(ARGV[5])) }
