-- Duty overdue: a worker that lives but does not report a timeout loses the lease.
--
-- Leases that were claimed ahead start late, so an attempt is overdue only when its session has committed nothing for as
-- long either.
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] most leases, [4] time a worker gets to report (ms)
-- Returns   { 'ok', leases taken away }
-- Invariant What the worker says later is refused.

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

local limit, graceMs = tonumber(ARGV[3]), tonumber(ARGV[4])
local serverNow = serverMs()
local handled = 0

local function take(group, kind, id, consumer, idleMs)
  local lease = leases.read(group, kind, id)
  local session = records.session(consumer)
  if not lease or not session then
    return
  end
  local items = lease.start and lease.last - lease.start or 1
  local lastCommitAt = count(call('HGET', session.key, 'lastCommitAt'))
  local idleSince = math.max(serverNow - idleMs, lastCommitAt)
  if now - idleSince <= group.timeoutMs * items + graceMs then
    return
  end
  handled = handled + 1
  leases.drop(lease)
  books.hold(session, group, -1)
  orders.stop(session, lease)
  local failure = '{"class":"timeout","code":"TASK_TIMEOUT","message":"No outcome within ' .. int(group.timeoutMs)
    .. ' ms and the time to report it."}'
  if lease.replica then
    verification.fail(lease, session.worker)
  elseif lease.start then
    ranges.fail(lease, { text = failure, class = 'timeout' }, nil)
  else
    leases.failTask(lease, failure, 'timeout', nil)
  end
end

for _, lane in ipairs(call('SMEMBERS', PREFIX .. 'timed')) do
  local no, id = string.match(lane, '^(%d+):(.*)$')
  local execution = records.live(id)
  local running = 0
  if execution then
    local group = records.group(execution, no)
    for _, kind in ipairs(records.KINDS) do
      orders.eachPending(group, kind, nil, function(entry, consumer, idleMs)
        running = running + 1
        if handled < limit then
          take(group, kind, entry, consumer, tonumber(idleMs))
        end
      end)
    end
  end
  if running == 0 then
    call('SREM', PREFIX .. 'timed', lane)
  end
end
finishScript()
return { 'ok', handled }
