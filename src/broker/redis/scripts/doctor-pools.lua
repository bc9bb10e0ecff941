-- Examination of pools: their counters, who waits in them, and what stands in their order.
--
-- The sum over all live executions is only right when it is taken in one step, so it is left out where they have more
-- groups than may be looked at in one.
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] 1: mend, [4] most groups of live executions
-- Returns   { 'ok', findings (lib/examining.lua), 1 when the counters were summed }
-- Invariant What a pool has done in its life (completed, failed) cannot be counted again, and is not touched.

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
-- @include lib/examining

local sums = {}

local function add(pool, name, value)
  sums[pool] = sums[pool] or {}
  sums[pool][name] = (sums[pool][name] or 0) + value
end

local function sumExecution(execution)
  for no = 0, execution.groups - 1 do
    local row = call('HMGET', execution.key .. ':group:' .. no, 'pool', 'queued', 'running', 'scheduled', 'blocked', 'length')
    if row[1] then
      local waiting = count(row[2]) + count(row[4]) + count(row[5])
      for at, state in ipairs({ 'queued', 'running', 'scheduled', 'blocked' }) do
        add(row[1], state, count(row[1 + at]))
      end
      add(row[1], 'depth', row[6] and math.min(1, waiting) or waiting)
    end
  end
end

local function sumSessions()
  for _, id in ipairs(call('ZRANGE', PREFIX .. 'sessions', 0, -1)) do
    local session = records.session(id)
    local slots = session and count(call('HGET', session.key, 'slots'))
    for _, pool in ipairs(session and session.pools or {}) do
      add(pool, 'slots', slots)
      add(pool, 'sessions', 1)
    end
  end
end

local NAMES = { 'queued', 'running', 'scheduled', 'blocked', 'depth', 'slots', 'sessions' }

local function compare(pool)
  local row = call('HMGET', ready.poolKey(pool), unpack(NAMES))
  for at, name in ipairs(NAMES) do
    local known, value = count(row[at]), sums[pool] and sums[pool][name] or 0
    if known ~= value then
      local text = name .. ' of ' .. pool .. ' is ' .. int(known) .. ', counted ' .. int(value)
      examining.note('pool-counter-wrong', text, function()
        call('HSET', ready.poolKey(pool), name, int(value))
      end)
    end
  end
end

local function checkIdle(pool)
  for _, id in ipairs(call('ZRANGE', ready.poolKey(pool) .. ':idle', 0, -1)) do
    if not records.session(id) then
      examining.note('idle-gone', id .. ' in ' .. pool, function()
        call('ZREM', ready.poolKey(pool) .. ':idle', id)
      end)
    end
  end
end

-- Sessions in the order in which they get the pool's work; those that come too late stand by.
local function checkMembers(pool)
  for _, id in ipairs(standby.members(pool)) do
    if not records.session(id) then
      examining.note('member-gone', id .. ' in ' .. pool, function()
        standby.leave(pool, id)
      end)
    end
  end
  for place, id in ipairs(standby.members(pool)) do
    local session = records.session(id)
    if session and (session.standby[pool] or false) ~= standby.isBeyond(pool, place - 1) then
      examining.note('standby-wrong', id .. ' in ' .. pool, function()
        standby.mark(pool, id, standby.isBeyond(pool, place - 1))
      end)
    end
  end
end

local function checkMemberships()
  for _, id in ipairs(call('ZRANGE', PREFIX .. 'sessions', 0, -1)) do
    local session = records.session(id)
    for _, pool in ipairs(session and session.pools or {}) do
      if not standby.isMember(pool, id) then
        examining.note('member-missing', id .. ' in ' .. pool, function()
          standby.join(pool, id, session.no)
        end)
      end
    end
  end
end

local function checkBucket(pool, bucket)
  local key = ready.poolKey(pool) .. ':bucket:' .. bucket
  for _, id in ipairs(call('ZRANGE', key, 0, -1)) do
    local execution = records.live(id)
    if not execution or call('EXISTS', ready.lanesKey(execution, pool, bucket)) == 0 then
      examining.note('bucket-gone', id .. ' in ' .. pool, function()
        call('ZREM', key, id)
        call('HDEL', ready.poolKey(pool) .. ':since', bucket .. UNIT .. id)
      end)
    end
  end
  if call('EXISTS', key) == 0 and call('SISMEMBER', ready.poolKey(pool) .. ':buckets', bucket) == 1 then
    examining.note('bucket-gone', bucket .. ' in ' .. pool, function()
      call('SREM', ready.poolKey(pool) .. ':buckets', bucket)
    end)
  end
end

local function checkSince(pool)
  for _, field in ipairs(call('HKEYS', ready.poolKey(pool) .. ':since')) do
    local bucket, id = string.match(field, '^(.*)' .. UNIT .. '([^' .. UNIT .. ']*)$')
    if not (bucket and call('ZSCORE', ready.poolKey(pool) .. ':bucket:' .. bucket, id)) then
      examining.note('bucket-gone', (id or field) .. ' in ' .. pool, function()
        call('HDEL', ready.poolKey(pool) .. ':since', field)
      end)
    end
  end
end

local function checkReplicas(pool)
  for _, member in ipairs(call('HKEYS', ready.poolKey(pool) .. ':replicas')) do
    local no, start, id = string.match(member, '^(%d+):(%d+):%d+:(.*)$')
    local execution = id and records.live(id)
    local group = execution and examining.group(execution, no)
    if not (group and verification.read(execution, int(group.first) .. ':' .. start)) then
      examining.note('replica-gone', member, function()
        call('HDEL', ready.poolKey(pool) .. ':replicas', member)
      end)
    end
  end
end

local groups = 0
local live = call('ZRANGE', PREFIX .. 'live', 0, -1)
for _, id in ipairs(live) do
  groups = groups + count(call('HGET', PREFIX .. 'exec:' .. id, 'groups'))
end
local isSummed = groups <= tonumber(ARGV[4])
if isSummed then
  for _, id in ipairs(live) do
    local execution = records.live(id)
    if execution then
      sumExecution(execution)
    end
  end
  sumSessions()
end
checkMemberships()
for _, pool in ipairs(call('SMEMBERS', PREFIX .. 'pools')) do
  checkMembers(pool)
  if isSummed then
    compare(pool)
  end
  checkIdle(pool)
  for _, bucket in ipairs(call('SMEMBERS', ready.poolKey(pool) .. ':buckets')) do
    checkBucket(pool, bucket)
  end
  checkSince(pool)
  checkReplicas(pool)
end
return examining.reply(isSummed and 1 or 0)
