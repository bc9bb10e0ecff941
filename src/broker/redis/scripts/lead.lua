-- Transition lead: takes, renews or watches a leader lease.
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] lease, [4] holder, [5] time to live (ms)
-- Returns   { 'ok', 1 when the holder leads, term }
-- Invariant At most one holder at a time; the term grows with every change of holder.

-- @include lib/shard

local key = PREFIX .. 'leader:' .. ARGV[3]
local row = call('HMGET', key, 'holder', 'term', 'expiresAt')
local term = count(row[2])
if row[1] and row[1] ~= ARGV[4] and count(row[3]) > now then
  return { 'ok', 0, term }
end
if row[1] ~= ARGV[4] then
  term = term + 1
end
call('HSET', key, 'holder', ARGV[4], 'term', term, 'expiresAt', int(now + tonumber(ARGV[5])))
return { 'ok', 1, term }
