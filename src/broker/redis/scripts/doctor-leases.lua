-- Examination of leases: what is pending has a holder who lives and knows of it.
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] 1: mend, [4] execution, [5] first group, [6] most groups, [7] most leases to
--           give back
-- Returns   { 'ok', findings (lib/examining.lua), the next group to look at ('' at the end) }
-- Invariant A lease whose session is gone ends as lost, like at the end of a session.

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
-- @include lib/examining

examining.tellsStreams = true
local execution = records.live(ARGV[4])
local no, most, mostLeases = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])

-- Up to `mostLeases` leases of a consumer that is no live session. Returns how many went back.
local function giveBack(group, kind, consumer)
  local worker = call('HGET', PREFIX .. 'session:' .. consumer, 'worker') or consumer
  local page = call('XPENDING', records.streamKey(group, kind), group.pool, '-', '+', mostLeases, consumer)
  for _, pending in ipairs(page) do
    local lease = leases.read(group, kind, pending[1])
    if lease then
      leases.drop(lease)
      leases.giveBack(lease, worker, true)
    else
      call('XACK', records.streamKey(group, kind), group.pool, pending[1])
    end
  end
  mostLeases = mostLeases - #page
  return #page
end

-- Leases of each live session in the group; false when some were given back, so that there is more to look at.
local function countHeld(group)
  local held, isDone = {}, true
  for _, kind in ipairs(records.KINDS) do
    if group.has[records.STREAMS[kind]] then
      for _, one in ipairs(call('XPENDING', records.streamKey(group, kind), group.pool)[4] or {}) do
        local consumer, leases_ = one[1], tonumber(one[2])
        if records.session(consumer) then
          held[consumer] = (held[consumer] or 0) + leases_
        else
          examining.note('lease-without-session', consumer .. ' in ' .. group.lane, function()
            isDone = false
            return giveBack(group, kind, consumer)
          end, leases_)
        end
      end
    end
  end
  return held, isDone
end

local function examine(group)
  local held, isDone = countHeld(group)
  if not isDone then
    return false
  end
  local isAnyHeld = false
  for id, leases_ in pairs(held) do
    isAnyHeld = true
    local session = records.session(id)
    if count(call('HGET', session.key .. ':held', group.lane)) ~= leases_ then
      examining.note('held-wrong', id .. ' in ' .. group.lane, function()
        call('HSET', session.key .. ':held', group.lane, leases_)
      end)
    end
  end
  if isAnyHeld and group.timeoutMs and call('SISMEMBER', PREFIX .. 'timed', group.lane) == 0 then
    examining.note('lane-untimed', group.lane, function()
      call('SADD', PREFIX .. 'timed', group.lane)
    end)
  end
  return true
end

local last = execution and math.min(execution.groups, no + most) or no
while no < last and mostLeases > 0 do
  local group = examining.group(execution, no)
  if not group then
    examining.note('group-gone', no .. ':' .. execution.id)
    no = no + 1
  elseif examine(group) then
    no = no + 1
  end
  if execution.isEnded then
    break
  end
end
return examining.reply((execution and no < execution.groups) and no or '')
