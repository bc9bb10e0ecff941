-- Duty reap: sessions that fell silent, or whose connection is gone, are dead; their leases are ready again.
--
-- Each worker listens on a channel of its own for as long as its process is connected, so the number of its listeners
-- says whether it still is. One that is gone for `grace` is not coming back. For a hosted session a server listens, whose
-- death is not the worker's: such a one is judged by its silence alone.
--
-- Callers ask all the time. When one asks much later than it was answered last, the server stood still, or the caller did:
-- what workers have said meanwhile may not have been read yet, so nobody is judged.
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] most sessions, [4] silence after which one is dead (ms), [5] 1: judge
--           silence (0: the server, or we, were away just now and could not hear), [6] 1: look at the listeners,
--           [7] grace of a lost connection (ms), [8] when the caller was answered last (ms since 1970, '' for never),
--           [9] time after which that is long ago (ms)
-- Returns   { 'ok', sessions ended, 1 when more wait, ms until the next may be dead ('' for never), now (ms since 1970) }
-- Invariant Two that reap at once are as good as one.

-- @include lib/shard
-- @include lib/records
-- @include lib/journal
-- @include lib/ready
-- @include lib/orders
-- @include lib/books
-- @include lib/leases
-- @include lib/letters
-- @include lib/ranges
-- @include lib/dependents
-- @include lib/suspending
-- @include lib/verification
-- @include lib/claiming
-- @include lib/standby
-- @include lib/ending

local limit, deadAfterMs = tonumber(ARGV[3]), tonumber(ARGV[4])
local handled = 0
local nextAt

local stoodStill = ARGV[8] ~= '' and now - tonumber(ARGV[8]) > tonumber(ARGV[9])

local function comesAt(at)
  nextAt = nextAt and math.min(nextAt, at) or at
end

local function reap(id)
  local session = records.session(id)
  if session then
    ending.endSession(session, 'lost')
  else
    call('ZREM', PREFIX .. 'sessions', id)
    call('HDEL', PREFIX .. 'unheard', id)
  end
  handled = handled + 1
end

local silentBefore = now - deadAfterMs
local silent = {}
if ARGV[5] == '1' and not stoodStill then
  silent = call('ZRANGEBYSCORE', PREFIX .. 'sessions', '-inf', int(silentBefore), 'LIMIT', 0, limit + 1)
end
for at = 1, math.min(limit, #silent) do
  reap(silent[at])
end

local CHANNELS = 1000

local function isHosted(id)
  return call('HGET', PREFIX .. 'session:' .. id, 'hosted') == '1'
end

-- Sessions nobody listens for, noted with the time since when. Hosted ones are heard again through another server, or fall
-- silent.
local function reapUnheard(ids, grace)
  local channels = {}
  for at, id in ipairs(ids) do
    channels[at] = PREFIX .. 'session:' .. id
  end
  local heard = call('PUBSUB', 'NUMSUB', unpack(channels))
  for at, id in ipairs(ids) do
    local known = call('HGET', PREFIX .. 'unheard', id)
    if tonumber(heard[2 * at]) > 0 then
      if known then
        call('HDEL', PREFIX .. 'unheard', id)
      end
    elseif not known then
      if not isHosted(id) then
        call('HSET', PREFIX .. 'unheard', id, int(now))
        comesAt(now + grace)
      end
    elseif now - tonumber(known) < grace then
      comesAt(tonumber(known) + grace)
    elseif handled < limit then
      reap(id)
    end
  end
end

if ARGV[6] == '1' and not stoodStill then
  local ids = call('ZRANGE', PREFIX .. 'sessions', 0, -1)
  for from = 1, #ids, CHANNELS do
    reapUnheard({ unpack(ids, from, math.min(#ids, from + CHANNELS - 1)) }, tonumber(ARGV[7]))
  end
end
finishScript()
local first = call('ZRANGE', PREFIX .. 'sessions', 0, 0, 'WITHSCORES')
if first[2] then
  comesAt(tonumber(first[2]) + deadAfterMs)
end
return { 'ok', handled, #silent > limit and 1 or 0, nextAt and int(nextAt - now) or '', int(now) }
