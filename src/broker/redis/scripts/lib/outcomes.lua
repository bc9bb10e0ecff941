-- Outcomes as the caller groups them, and what each leads to.
--
-- A batch of tasks of one group that completed at their first attempt, without output:
--   'done', execution, group, stream (q), number of the session that the leases name, tasks (JSON numbers without
--   brackets), n, then n entry ids, then n pairs of task and result record
-- One outcome of any other kind:
--   'one', execution, group, stream, entry id, reference of the lease, kind (completed|chunk|failed|returned), task,
--   start, end ('' for tasks), duration (ms), result record or chunk values, partial, failure (JSON) or failures (JSON
--   [{ item, class, text }]), class, culprit, output (JSON), sampled (0|1)

local outcomes = { hasFailures = false }
local nextArgument = 1

function outcomes.start(at)
  nextArgument = at
end

local function text()
  local value = ARGV[nextArgument]
  nextArgument = nextArgument + 1
  return value
end

local ONE = { 'execution', 'no', 'kind', 'id', 'ref', 'outcome', 'task', 'start', 'last', 'durationMs', 'values',
  'partial', 'failure', 'class', 'culprit', 'output', 'sampled' }

local function readBatch()
  local batch = { isDone = text() == 'done' }
  if batch.isDone then
    batch.execution, batch.no, batch.kind, batch.session, batch.tasks = text(), text(), text(), text(), text()
    batch.n = tonumber(text())
    batch.from = nextArgument
    nextArgument = nextArgument + 3 * batch.n
    return batch
  end
  for _, name in ipairs(ONE) do
    batch[name] = text()
  end
  batch.entry = batch.kind .. batch.id
  return batch
end

local function refuse(execution, outcomesRefused)
  if execution then
    books.note(execution, 'refused', outcomesRefused)
  end
end

function outcomes.refuseBatch()
  local batch = readBatch()
  refuse(records.execution(batch.execution), batch.n or 1)
end

-- ── Tasks that completed ────────────────────────────────────────────────────────────────────────

local function entryOf(record)
  return string.match(record, '^{"entry":"([^"]+)"')
end

-- Whether this very outcome was counted before: the result names its attempt, if it was not the first one.
local function isCountedResult(execution, field, entry)
  local known = call('HGET', execution.key .. ':results', field)
  if not known then
    return false
  end
  return (entryOf(known) or 'q') == (string.sub(entry, 1, 1) == 'q' and 'q' or entry)
end

local function storeTasks(session, group, tasks, pairs_)
  local execution = group.execution
  call('HSET', execution.key .. ':results', unpack(pairs_))
  local n = #pairs_ / 2
  books.move(group, 'running', 'completed', n)
  books.hold(session, group, -n)
  session.completed = session.completed + n
  journal.tasks(execution, { state = 'completed', text = tasks, worker = session.worker, items = n })
  if execution.isLinked then
    for at = 1, #pairs_, 2 do
      dependents.release(execution, tonumber(pairs_[at]))
    end
  end
end

local function idParts(id)
  local high, low = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(high), tonumber(low)
end

local function isDelivered(group, kind, id)
  local last
  for _, info in ipairs(call('XINFO', 'GROUPS', streamKey(group, kind))) do
    for at = 1, #info, 2 do
      last = info[at] == 'last-delivered-id' and info[at + 1] or last
    end
  end
  local high, low = idParts(id)
  local lastHigh, lastLow = idParts(last)
  return high < lastHigh or (high == lastHigh and low <= lastLow)
end

-- The entries were not all pending: one by one. What we have just acknowledged is still in the stream and was delivered;
-- what somebody took away is not there any more; what was never delivered lies behind the group's last delivery.
local function sortOut(session, group, batch)
  local key = streamKey(group, batch.kind)
  local verdicts, accepted, tasks, seen = {}, {}, {}, {}
  for at = 0, batch.n - 1 do
    local id = ARGV[batch.from + at]
    local pair = batch.from + batch.n + 2 * at
    if seen[id] then
      verdicts[at + 1] = '1'
    elseif #call('XRANGE', key, id, id) == 1 and isDelivered(group, batch.kind, id) then
      call('XDEL', key, id)
      seen[id] = true
      accepted[#accepted + 1] = ARGV[pair]
      accepted[#accepted + 1] = ARGV[pair + 1]
      tasks[#tasks + 1] = ARGV[pair]
      verdicts[at + 1] = '1'
    elseif isCountedResult(group.execution, ARGV[pair], batch.kind .. id) then
      verdicts[at + 1] = '1'
    else
      refuse(group.execution, 1)
      verdicts[at + 1] = '0'
    end
  end
  if #accepted > 0 then
    storeTasks(session, group, table.concat(tasks, ','), accepted)
  end
  return table.concat(verdicts)
end

local function isHeldBy(session, group, kind, id)
  local found = group.has[STREAMS[kind]]
    and call('XPENDING', streamKey(group, kind), group.pool, id, id, 1, session.id)
  return found and #found == 1
end

local function refusedAll(execution, batch)
  local verdicts = {}
  for at = 0, batch.n - 1 do
    local task = ARGV[batch.from + batch.n + 2 * at]
    local isRepeat = execution and isCountedResult(execution, task, batch.kind .. ARGV[batch.from + at])
    verdicts[at + 1] = isRepeat and '1' or '0'
    if not isRepeat then
      refuse(execution, 1)
    end
  end
  return table.concat(verdicts)
end

local function commitDone(session, batch)
  local execution = records.execution(batch.execution)
  local group = execution and not execution.isEnded and records.group(execution, batch.no)
  if not (group and group.has[STREAMS[batch.kind]] and batch.session == session.no) then
    return refusedAll(execution, batch)
  end
  local from, last = batch.from, batch.from + batch.n - 1
  local key = streamKey(group, batch.kind)
  local acked = call('XACK', key, group.pool, unpack(ARGV, from, last))
  if acked == batch.n then
    call('XDEL', key, unpack(ARGV, from, last))
    storeTasks(session, group, batch.tasks, { unpack(ARGV, last + 1, last + 2 * batch.n) })
    return 1
  end
  return sortOut(session, group, batch)
end

-- ── Everything else ─────────────────────────────────────────────────────────────────────────────

-- Whether the outcome is of the lease's kind and speaks of its items only, in ascending order.
local function fits(lease, one)
  local function isInside(item)
    return lease.start and item >= lease.start and item < lease.last
  end
  if one.outcome == 'completed' then
    return not lease.start
  elseif one.outcome == 'chunk' then
    if not lease.start then
      return false
    end
    local before = -1
    for _, failure in ipairs(one.failures) do
      if not isInside(failure.item) or failure.item <= before then
        return false
      end
      before = failure.item
    end
    return true
  elseif one.outcome == 'failed' then
    return one.culprit == '' or isInside(tonumber(one.culprit))
  end
  return true
end

local function readFailures(one)
  one.failures = {}
  if one.outcome == 'chunk' and one.failure ~= '' then
    one.failures = cjson.decode(one.failure)
    for _, failure in ipairs(one.failures) do
      failure.item = tonumber(failure.item)
    end
  end
end

local function wasNoted(execution, field, entry, as)
  local known = call('HGET', execution.key .. ':tries', field)
  if not known then
    return false
  end
  local record = cjson.decode(known)
  return record.ended == entry and record.as == as
end

local function isRepeat(execution, one)
  if one.outcome == 'completed' then
    return isCountedResult(execution, one.task, one.entry)
  end
  local field = one.start == '' and one.task or one.task .. ':' .. one.start
  if one.outcome ~= 'chunk' then
    return wasNoted(execution, field, one.entry, one.outcome)
  end
  if isCountedResult(execution, field .. ':' .. one.last, one.entry) or verification.isCounted(execution, one) then
    return true
  end
  -- All of its items had failed, each of which waits by itself.
  for _, failure in ipairs(one.failures) do
    if not wasNoted(execution, one.task .. ':' .. int(failure.item), one.entry, 'failed') then
      return false
    end
  end
  return #one.failures > 0
end

local function applyFailed(session, lease, one)
  outcomes.hasFailures = true
  leases.remember(lease, session.worker, 'failed', { failure = one.failure, output = one.output,
    durationMs = one.durationMs })
  if lease.replica then
    verification.fail(lease, session.worker)
  elseif lease.start then
    ranges.fail(lease, { text = one.failure, class = one.class }, one.culprit ~= '' and tonumber(one.culprit) or nil)
  else
    leases.failTask(lease, one.failure, one.class, lease.ended)
  end
end

local function apply(session, lease, one)
  lease.ended = leases.nameOf(lease)
  if one.outcome == 'returned' then
    leases.giveBack(lease, session.worker, false)
  elseif one.outcome == 'failed' then
    applyFailed(session, lease, one)
  else
    if one.output ~= '' then
      leases.remember(lease, session.worker, 'completed', { output = one.output, durationMs = one.durationMs })
    end
    if lease.replica then
      verification.commit(lease, session, one)
    elseif lease.start then
      outcomes.hasFailures = outcomes.hasFailures or #one.failures > 0
      one.isSampled = one.sampled == '1'
      ranges.commit(lease, session, one)
    else
      books.hold(session, lease.group, 1)
      storeTasks(session, lease.group, one.task, { one.task, one.values })
    end
  end
end

local function commitOne(session, one)
  readFailures(one)
  orders.forget(session, one.ref)
  local execution = records.execution(one.execution)
  local group = execution and not execution.isEnded and records.group(execution, one.no)
  local lease = group and group.pool and isHeldBy(session, group, one.kind, one.id)
    and leases.read(group, one.kind, one.id)
  if not lease then
    if execution and isRepeat(execution, one) then
      return 1
    end
    refuse(execution, 1)
    return 0
  end
  if orders.refOf(lease, session.no) ~= one.ref or not fits(lease, one) then
    refuse(execution, 1)
    return 0
  end
  leases.drop(lease)
  books.hold(session, group, -1)
  apply(session, lease, one)
  return 1
end

function outcomes.commitBatch(session)
  local batch = readBatch()
  if batch.isDone then
    return commitDone(session, batch)
  end
  return commitOne(session, batch)
end
