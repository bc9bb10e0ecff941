-- Outcomes as the caller groups them, and what each leads to.
--
-- A batch of tasks of one group that completed at their first attempt, without output:
--   'done', execution, group, number of the session that the leases name, tasks (JSON numbers without brackets), n, then
--   n pairs of task and result record
-- One outcome of any other kind:
--   'one', execution, group, stream, entry id, reference of the lease, kind (completed|chunk|failed|returned), task,
--   start, end ('' for tasks), duration (ms), result record or chunk values, partial, failure (JSON) or failures (JSON
--   [{ item, class, text }]), class, culprit, output (JSON), sampled (0|1)

eachCall(function()
  outcomes.hasFailures = false
end)

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
    batch.execution, batch.no, batch.session, batch.tasks = text(), text(), text(), text()
    batch.n = tonumber(text())
    batch.from = nextArgument
    nextArgument = nextArgument + 2 * batch.n
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

-- The entries were not all pending: one by one. What was taken away from the session left a record among the tries, what
-- was counted before has a result; what has neither and was delivered is what we have just acknowledged.
local function isOurs(group, task, lastDelivered)
  return call('HEXISTS', group.execution.key .. ':tries', task) == 0 and tonumber(task) <= lastDelivered
end

local function sortOut(session, group, batch)
  local lastDelivered = records.lastDelivered(group)
  local verdicts, accepted, tasks, seen = {}, {}, {}, {}
  for at = 1, batch.n do
    local task = ARGV[batch.from + 2 * at - 2]
    if seen[task] or isCountedResult(group.execution, task, 'q') then
      verdicts[at] = '1'
    elseif call('HEXISTS', group.execution.key .. ':results', task) == 0 and isOurs(group, task, lastDelivered) then
      seen[task] = true
      accepted[#accepted + 1] = task
      accepted[#accepted + 1] = ARGV[batch.from + 2 * at - 1]
      tasks[#tasks + 1] = task
      verdicts[at] = '1'
    else
      refuse(group.execution, 1)
      verdicts[at] = '0'
    end
  end
  if #accepted > 0 then
    storeTasks(session, group, table.concat(tasks, ','), accepted)
  end
  return table.concat(verdicts)
end

local function refusedAll(execution, batch)
  local verdicts = {}
  for at = 1, batch.n do
    local isRepeat = execution and isCountedResult(execution, ARGV[batch.from + 2 * at - 2], 'q')
    verdicts[at] = isRepeat and '1' or '0'
    if not isRepeat then
      refuse(execution, 1)
    end
  end
  return table.concat(verdicts)
end

-- Entries that were handed out and answered make room, a node of the stream at a time: deleting each by itself would cost
-- as much as everything else that is done for a task.
local function trim(group, key, ids)
  local oldest = call('XPENDING', key, group.pool, '-', '+', 1)[1]
  call('XTRIM', key, 'MINID', '~', oldest and oldest[1] or ids[#ids])
end

local function commitDone(session, batch)
  local execution = records.execution(batch.execution)
  local group = execution and not execution.isEnded and records.group(execution, batch.no)
  if not (group and group.has.queue and batch.session == session.no) then
    return refusedAll(execution, batch)
  end
  local key = records.streamKey(group, 'q')
  local ids = {}
  for at = 1, batch.n do
    ids[at] = ARGV[batch.from + 2 * at - 2] .. '-1'
  end
  if call('XACK', key, group.pool, unpack(ids)) ~= batch.n then
    return sortOut(session, group, batch)
  end
  trim(group, key, ids)
  storeTasks(session, group, batch.tasks, { unpack(ARGV, batch.from, batch.from + 2 * batch.n - 1) })
  return 1
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
  local lease = group and group.pool and leases.isHeldBy(session, group, one.kind, one.id)
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
