-- Transition save a checkpoint: the newest of its scope, and the oldest make room.
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] scope, [4] text, [5] fence, [6] how many are kept, [7] time to live of the scope (ms),
--           [8] size of the text, [9] label or '', [10] id of the save or '', [11] how long a save is known again (ms)
-- Returns   { 'ok', version } or { 'CHECKPOINT_FENCED', the highest fence }
-- Invariant Whoever has been replaced saves nothing. Versions count from 1 for as long as the scope lives.

-- @include lib/shard
-- @include lib/state
-- @include lib/checkpoints

local name = ARGV[3]
local save = state.known('s', name, ARGV[10], tonumber(ARGV[11]))
if save.answer then
  return { 'ok', save.answer[2] }
end
local scope = checkpoints.open(name)
if tonumber(ARGV[5]) < scope.fence then
  return { 'CHECKPOINT_FENCED', int(scope.fence) }
end

checkpoints.dropOver(scope)
local version, expiresAt = int(scope.last + 1), int(now + tonumber(ARGV[7]))
call('HSET', scope.key, 'fence', ARGV[5], 'last', version, 'expiresAt', expiresAt, version, ARGV[4])
call('ZADD', scope.list, version, checkpoints.info(version, { fence = ARGV[5], size = ARGV[8], label = ARGV[9] }))
checkpoints.keep(scope, tonumber(ARGV[6]))
state.endsAt('c', name, expiresAt)
state.remember(save, version)
return { 'ok', version }
