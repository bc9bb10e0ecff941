-- Read a value.
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] key
-- Returns   { 'ok' } when there is none, or { 'ok', version, updated at, expires at ('' for never), text }
-- Invariant What is over does not count, whether it is still there or not.

-- @include lib/shard

local row = call('HMGET', PREFIX .. 'value:' .. ARGV[3], 'version', 'updatedAt', 'expiresAt', 'text')
if row[1] and (row[3] == '' or count(row[3]) > now) then
  return { 'ok', unpack(row) }
end
return { 'ok' }
