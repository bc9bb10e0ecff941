-- Read what there is of a scope's checkpoints, without their texts.
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] scope
-- Returns   { 'ok', info (lib/checkpoints.lua), … }, the newest first
-- Invariant Bounded by how many a scope keeps.

-- @include lib/shard
-- @include lib/checkpoints

local scope = checkpoints.open(ARGV[3])
if not scope.isThere then
  return { 'ok' }
end
return { 'ok', unpack(call('ZREVRANGE', scope.list, 0, -1)) }
