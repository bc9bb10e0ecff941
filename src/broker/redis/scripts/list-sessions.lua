-- List sessions: live ones in the order of their opening, then those that ended last.
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] most sessions, [4] 1: only live ones, [5] number of the live session to begin after
--           ('' for the first)
-- Returns   { 'ok', number of the last live session listed ('' when no live ones follow), { id, seen at, leases, fields } … }
-- Invariant Changes nothing.

-- @include lib/shard

local limit = tonumber(ARGV[3])
local reply = { 'ok', '' }

local function add(id, seenAt)
  local key = PREFIX .. 'session:' .. id
  local leases = 0
  for _, held in ipairs(call('HVALS', key .. ':held')) do
    leases = leases + tonumber(held)
  end
  reply[#reply + 1] = { id, seenAt or '0', leases, call('HGETALL', key) }
end

local from = ARGV[5] == '' and '-inf' or '(' .. ARGV[5]
local live = call('ZRANGEBYSCORE', PREFIX .. 'opened', from, '+inf', 'WITHSCORES', 'LIMIT', 0, limit + 1)
for at = 1, math.min(#live, 2 * limit), 2 do
  add(live[at], call('ZSCORE', PREFIX .. 'sessions', live[at]))
end
if #live > 2 * limit then
  reply[2] = live[2 * limit]
elseif ARGV[4] ~= '1' and #reply - 2 < limit then
  local ended = call('ZREVRANGE', PREFIX .. 'ended-sessions', 0, limit - (#reply - 2) - 1, 'WITHSCORES')
  for at = 1, #ended, 2 do
    add(ended[at], ended[at + 1])
  end
end
return reply
