-- Read a checkpoint with its text.
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] scope, [4] version; '': the newest
-- Returns   { 'ok' } when there is none, or { 'ok', info (lib/checkpoints.lua), text }
-- Invariant What is over does not count, whether it is still there or not.

-- @include lib/shard
-- @include lib/checkpoints

local scope = checkpoints.open(ARGV[3])
if not scope.isThere then
  return { 'ok' }
end
local info
if ARGV[4] == '' then
  info = call('ZREVRANGE', scope.list, 0, 0)[1]
else
  info = call('ZRANGEBYSCORE', scope.list, ARGV[4], ARGV[4])[1]
end
if not info then
  return { 'ok' }
end
return { 'ok', info, call('HGET', scope.key, string.match(info, '^%d+')) }
