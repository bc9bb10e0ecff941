-- Transition delete a value, if it is still the one that the caller knows of.
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] key, [4] the version that must be there; '': any
-- Returns   { 'ok', 1 when there was one } or { 'VERSION_CONFLICT', the version that is there }
-- Invariant Writes that were made before it stay known, so that none of them is done over.

-- @include lib/shard
-- @include lib/state

local name, key = ARGV[3], PREFIX .. 'value:' .. ARGV[3]
local row = call('HMGET', key, 'version', 'expiresAt')
local isThere = row[1] and (row[2] == '' or count(row[2]) > now)
if isThere and ARGV[4] ~= '' and ARGV[4] ~= row[1] then
  return { 'VERSION_CONFLICT', row[1] }
end
if row[1] then
  call('UNLINK', key)
  call('ZREM', PREFIX .. 'values', name)
  state.endsNever('v', name)
end
return { 'ok', isThere and 1 or 0 }
