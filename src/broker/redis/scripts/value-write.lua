-- Transition write a value, if it is still the one that the writer knows of.
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] key, [4] text, [5] time to live (ms; '' for ever), [6] the version that must be
--           there (0: none; '': any), [7] id of the write or '', [8] how long a write is known again (ms)
-- Returns   { 'ok', version, expires at ('' for never) } or { 'VERSION_CONFLICT', the version that is there }
-- Invariant Versions ascend, also over a deletion. A write that is made again changes nothing (promise 7).

-- @include lib/shard
-- @include lib/state

local name, key = ARGV[3], PREFIX .. 'value:' .. ARGV[3]
local write = state.known('w', name, ARGV[7], tonumber(ARGV[8]))
if write.answer then
  return { 'ok', write.answer[2], write.answer[3] }
end

local row = call('HMGET', key, 'version', 'expiresAt')
local isThere = row[1] and (row[2] == '' or count(row[2]) > now)
local found = isThere and row[1] or '0'
if ARGV[6] ~= '' and ARGV[6] ~= found then
  return { 'VERSION_CONFLICT', found }
end

local version = int(state.number(count(row[1])))
local expiresAt = ARGV[5] ~= '' and int(now + tonumber(ARGV[5])) or ''
call('HSET', key, 'text', ARGV[4], 'version', version, 'updatedAt', int(now), 'expiresAt', expiresAt)
call('ZADD', PREFIX .. 'values', 0, name)
if expiresAt == '' then
  state.endsNever('v', name)
else
  state.endsAt('v', name, expiresAt)
end
state.remember(write, version, expiresAt)
return { 'ok', version, expiresAt }
