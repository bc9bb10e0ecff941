-- Read locks: those that somebody has, in the order of their names.
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] least and [4] greatest name, as ZRANGEBYLEX takes them, [5] most names to look at,
--           [6] most locks to tell of
-- Returns   { 'ok', the name looked at last ('' when none follows), { name, owner, token, expires at, acquired at, note,
--           owners in line }, … }
-- Invariant Bounded by the names that are looked at, however many of them are over.

-- @include lib/shard
-- @include lib/state
-- @include lib/locks

local most, wanted = tonumber(ARGV[5]), tonumber(ARGV[6])
local names = call('ZRANGEBYLEX', PREFIX .. 'locks', ARGV[3], ARGV[4], 'LIMIT', 0, most)
local reply = { 'ok', #names == most and names[most] or '' }
for at, name in ipairs(names) do
  local lock = locks.open(name)
  local holder = locks.holder(lock)
  if holder then
    reply[#reply + 1] = { name, locks.view(lock, holder) }
  end
  if #reply - 2 >= wanted and at < #names then
    reply[2] = name
    break
  end
end
return reply
