-- Read values in the order of their keys.
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] least and [4] greatest key, as ZRANGEBYLEX takes them, [5] most keys to look at,
--           [6] most values to tell, [7] room for texts (bytes)
-- Returns   { 'ok', the key looked at last ('' when none follows), { key, version, updated at, expires at ('' for never),
--           text }, … }
-- Invariant Bounded by the keys that are looked at, and by the room: the value that uses it up is the last one.

-- @include lib/shard

local most, wanted, room = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local names = call('ZRANGEBYLEX', PREFIX .. 'values', ARGV[3], ARGV[4], 'LIMIT', 0, most)
local reply = { 'ok', #names == most and names[most] or '' }
for at, name in ipairs(names) do
  local row = call('HMGET', PREFIX .. 'value:' .. name, 'version', 'updatedAt', 'expiresAt', 'text')
  if row[1] and (row[3] == '' or count(row[3]) > now) then
    reply[#reply + 1] = { name, unpack(row) }
    room = room - #row[4]
  end
  if (room <= 0 or #reply - 2 >= wanted) and at < #names then
    reply[2] = name
    break
  end
end
return reply
