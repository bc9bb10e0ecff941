-- Read a lock: who has it.
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] lock
-- Returns   { 'ok' } when nobody has it, or { 'ok', owner, token, expires at, acquired at, note, owners in line }
-- Invariant What is over does not count, whether it is still there or not.

-- @include lib/shard
-- @include lib/state
-- @include lib/locks

local lock = locks.open(ARGV[3])
local holder = locks.holder(lock)
if holder then
  return { 'ok', locks.view(lock, holder) }
end
return { 'ok' }
