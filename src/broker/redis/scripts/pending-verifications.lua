-- Duty verification, first half: gives up copies that no second worker can run; lists chunks that can be judged.
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] most chunks, [4] patience (ms)
-- Returns   { 'ok', { execution, task, start, end, tolerance, { worker, values, worker, values … } } … }
-- Invariant What is listed stays until it is judged.

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

local limit, patienceMs = tonumber(ARGV[3]), tonumber(ARGV[4])
local profiles

local function someoneCanRun(group, record)
  if profiles == nil then
    profiles = {}
    for _, id in ipairs(call('ZRANGE', PREFIX .. 'sessions', 0, -1)) do
      local session = records.session(id)
      if session and not session.isDraining then
        profiles[#profiles + 1] = session
      end
    end
  end
  for _, session in ipairs(profiles) do
    if not record.workers[session.worker] and ready.fits(session.capabilities, group.requires) then
      for _, pool in ipairs(session.pools) do
        if pool == group.pool then
          return true
        end
      end
    end
  end
  return false
end

local function describe(group, start, record)
  local execution = group.execution
  local plan = cjson.decode(call('HGET', execution.key, 'verify'))
  local copies = {}
  for replica = 0, record.wanted - 1 do
    local copy = call('HGET', execution.key .. ':copied', int(group.first) .. ':' .. start .. ':' .. replica)
    if copy then
      local worker, values = string.match(copy, '^(.-)' .. UNIT .. '(.*)' .. UNIT)
      copies[#copies + 1] = worker
      copies[#copies + 1] = values
    end
  end
  return { execution.id, int(group.first), start, int(record.last), tostring(plan.tolerance), copies }
end

local reply = { 'ok' }
for _, member in ipairs(call('ZRANGE', PREFIX .. 'verifying', 0, -1)) do
  local no, start, id = string.match(member, '^(%d+):(%d+):(.*)$')
  local execution = records.live(id)
  local group = execution and records.group(execution, no)
  local record = group and verification.read(execution, int(group.first) .. ':' .. start)
  if not record then
    call('ZREM', PREFIX .. 'verifying', member)
  elseif record.copies >= record.wanted then
    if #reply <= limit then
      reply[#reply + 1] = describe(group, start, record)
    end
  elseif now - record.at >= patienceMs and verification.isWaiting(group, start, record)
    and not someoneCanRun(group, record) then
    verification.giveUp(group, tonumber(start), record)
  end
end
finishScript()
return reply
