-- Examination of the order of work: a group is in its pool's order exactly while it has work that may be handed out.
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] 1: mend, [4] execution, [5] first group, [6] most groups
-- Returns   { 'ok', findings (lib/examining.lua), the next group to look at ('' at the end) }
-- Invariant Whoever waits is called for the work that is offered here.

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

local execution = records.live(ARGV[4])
local no, most = tonumber(ARGV[5]), tonumber(ARGV[6])

local function checkDelay(group)
  local member = 'g:' .. group.no .. '::' .. execution.id
  if group.notBefore and not call('ZSCORE', PREFIX .. 'due', member) then
    examining.note('timer-missing', group.lane, function()
      call('ZADD', PREFIX .. 'due', int(group.notBefore), member)
    end)
  end
end

-- The execution stands in its bucket, the bucket in the pool's list.
local function checkBucket(group, bucket, turn)
  local key, member = ready.poolKey(group.pool), bucket .. UNIT .. execution.id
  local isWhole = call('ZSCORE', key .. ':bucket:' .. bucket, execution.id)
    and call('HEXISTS', key .. ':since', member) == 1
    and call('SISMEMBER', key .. ':buckets', bucket) == 1
  if not isWhole then
    examining.note('not-offered', group.lane, function()
      call('ZADD', key .. ':bucket:' .. bucket, 'NX', turn, execution.id)
      call('HSETNX', key .. ':since', member, int(now))
      call('SADD', key .. ':buckets', bucket)
      ready.wake(group, 1)
    end)
  end
end

local function examine(group)
  checkDelay(group)
  local queued = count(call('HGET', group.key, 'queued'))
  local isReady = queued > 0 and not group.notBefore and execution.state ~= 'paused'
  local bucket = ready.bucketOf(group)
  local lanes = ready.lanesKey(execution, group.pool, bucket)
  if group.isRanked then
    -- Each of its tasks has a place of its own: doctor-again.
    if isReady and call('EXISTS', lanes) == 1 then
      checkBucket(group, bucket, 0)
    end
    return
  end
  local turn = call('ZSCORE', lanes, ready.laneOf(group))
  if isReady and turn then
    checkBucket(group, bucket, turn)
  elseif isReady then
    examining.note('not-offered', group.lane, function()
      ready.offer(group, queued)
    end)
  elseif turn then
    examining.note('offered-without-work', group.lane, function()
      ready.withdraw(group)
    end)
  end
end

local last = execution and math.min(execution.groups, no + most) or no
while no < last do
  local group = examining.group(execution, no)
  if group then
    examine(group)
  end
  no = no + 1
end
return examining.reply((execution and no < execution.groups) and no or '')
