-- Examination of verifications: each copy that is wanted waits, runs, or is there.
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] 1: mend, [4] execution, [5] cursor, [6] page
-- Returns   { 'ok', findings (lib/examining.lua), next cursor ('' at the end) }
-- Invariant A verification that could never be judged is given up, so that its execution can end.

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
local running = {}

local function noteRunning(no)
  local group = examining.group(execution, no)
  if group and group.length then
    orders.eachPending(group, 'c', nil, function(id)
      local lease = leases.read(group, 'c', id)
      if lease and lease.replica then
        running[int(lease.task) .. ':' .. int(lease.start) .. ':' .. int(lease.replica)] = true
      end
    end)
  end
end

local function isThere(group, field, start, replica)
  local name = field .. ':' .. replica
  return running[name] or call('HEXISTS', execution.key .. ':copied', name) == 1
    or call('HEXISTS', ready.poolKey(group.pool) .. ':replicas', verification.replicaMember(group, start, replica)) == 1
end

local function examine(field, record)
  local group = examining.group(execution, record.group)
  local start = tonumber(string.match(field, ':(%d+)$'))
  for replica = 1, group and record.wanted - 1 or 0 do
    if not isThere(group, field, start, replica) then
      examining.note('copy-missing', field .. ' of ' .. execution.id, function()
        verification.giveUp(group, start, record)
      end)
      return
    end
  end
  if group and not call('ZSCORE', PREFIX .. 'verifying', verification.openField(group, start)) then
    examining.note('verification-unlisted', field .. ' of ' .. execution.id, function()
      call('ZADD', PREFIX .. 'verifying', int(record.at), verification.openField(group, start))
    end)
  end
end

if not (execution and execution.isVerified) then
  return examining.reply('')
end
for no = 0, execution.groups - 1 do
  noteRunning(no)
end
local found = call('HSCAN', execution.key .. ':verifications', ARGV[5], 'COUNT', tonumber(ARGV[6]))
for at = 1, #found[2], 2 do
  local record = verification.read(execution, found[2][at])
  if record then
    examine(found[2][at], record)
  end
end
return examining.reply(found[1] == '0' and '' or found[1])
