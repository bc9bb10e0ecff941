-- Transition lead: takes, renews or watches a leader lease.
--
-- A holder listens on a channel of its own for as long as its process is connected. When nobody listens there, whoever
-- asks next leads at once, and does not wait for the lease to run out.
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] lease, [4] holder, [5] time to live (ms), [6] a holder renewed more recently than
--           this counts as connected (ms): its channel may not be open yet
-- Returns   { 'ok', 1 when the holder leads, term }
-- Invariant At most one holder at a time; the term grows with every change of holder.

-- @include lib/shard

local key = PREFIX .. 'leader:' .. ARGV[3]
local row = call('HMGET', key, 'holder', 'term', 'expiresAt', 'renewedAt')
local term = count(row[2])

local function isGone(holder)
  return count(row[4]) + tonumber(ARGV[6]) < now and call('PUBSUB', 'NUMSUB', PREFIX .. 'holder:' .. holder)[2] == 0
end

if row[1] and row[1] ~= ARGV[4] and count(row[3]) > now and not isGone(row[1]) then
  return { 'ok', 0, term }
end
if row[1] ~= ARGV[4] then
  term = term + 1
end
local expiresAt = int(now + tonumber(ARGV[5]))
call('HSET', key, 'holder', ARGV[4], 'term', term, 'expiresAt', expiresAt, 'renewedAt', int(now))
return { 'ok', 1, term }
