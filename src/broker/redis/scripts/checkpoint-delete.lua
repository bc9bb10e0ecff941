-- Transition delete checkpoints of a scope.
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] scope, [4] version or '', [5] how many of the newest stay, without a version
-- Returns   { 'ok', deleted }
-- Invariant The fence and the last version stay until the time of the scope is over: whoever has been replaced still
--           saves nothing, and no version means two texts.

-- @include lib/shard
-- @include lib/checkpoints

local scope = checkpoints.open(ARGV[3])
if not scope.isThere then
  return { 'ok', 0 }
end
if ARGV[4] ~= '' then
  return { 'ok', checkpoints.remove(scope, ARGV[4]) }
end
return { 'ok', checkpoints.keep(scope, tonumber(ARGV[5])) }
