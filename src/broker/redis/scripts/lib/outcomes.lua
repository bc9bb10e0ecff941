-- Outcomes as the caller groups them, and what each leads to.
--
-- A batch of tasks of one group that completed at their first attempt, without output:
--   'done', execution, group, number of the session that the leases name, tasks (JSON numbers without brackets), n, then
--   n pairs of task and result record
-- The same of tasks that came back or were released:
--   'again', execution, group, number of the session, n, then n times task, entry id, attempt and result record
-- One outcome of any other kind:
--   'one', execution, group, stream, entry id, reference of the lease, kind (completed|chunk|failed|skipped|suspended|
--   returned), task, start, end ('' for tasks), duration (ms), result record or chunk values or what a skip means to
--   dependents (skip|release) or the state of what goes on, partial, failure (JSON) or failures (JSON
--   [{ item, class, text }]), class, culprit, output (JSON), sampled (0|1); then of one that is suspended what for:
--   'delay', ms | 'signal', its name, timeout (ms or '') | 'tasks', groups, then the groups as lib/submitting.lua reads them

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

local readAwakening = {}

function readAwakening.delay(one)
  one.delayMs = tonumber(text())
end

function readAwakening.signal(one)
  one.signal = text()
  one.timeoutMs = tonumber(text())
end

function readAwakening.tasks(one)
  local total = tonumber(text())
  submitting.start(nextArgument)
  one.groups = submitting.groups(total)
  nextArgument = submitting.place()
end

local function readAgain()
  local batch = { isAgain = true, execution = text(), no = text(), session = text(), n = tonumber(text()), ones = {} }
  for at = 1, batch.n do
    batch.ones[at] = { task = text(), id = text(), attempt = text(), record = text() }
  end
  return batch
end

local function readBatch()
  local kind = text()
  if kind == 'again' then
    return readAgain()
  end
  local batch = { isDone = kind == 'done' }
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
  if batch.outcome == 'suspended' then
    batch.awakening = text()
    readAwakening[batch.awakening](batch)
  end
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

-- Those of the tasks whose dependents still wait for them.
local function notPassed(group, tasks)
  local left = {}
  for _, task in ipairs(tasks) do
    if not leases.hasPassed({ group = group, task = tonumber(task) }) then
      left[#left + 1] = task
    end
  end
  return left
end

local function storeTasks(session, group, tasks, pairs_)
  local execution = group.execution
  call('HSET', execution.key .. ':results', unpack(pairs_))
  local n = #pairs_ / 2
  books.move(group, 'running', 'completed', n)
  books.hold(session, group, -n)
  session.completed = session.completed + n
  if execution.suspends then
    local ended = {}
    for at = 1, n do
      ended[at] = pairs_[2 * at - 1]
    end
    suspending.complete(execution, ended)
  end
  journal.tasks(execution, { state = 'completed', text = tasks, worker = session.worker, items = n })
  if execution.isLinked then
    local ended = {}
    for at = 1, n do
      ended[at] = pairs_[2 * at - 1]
    end
    dependents.releaseAll(execution, group.passes and notPassed(group, ended) or ended)
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

-- Entries of `again` between these that the session holds, as a set; nil when they are too many to tell.
local MOST_HELD = 2000

local function heldAmong(session, group, ids)
  local least, most
  local function isBelow(one, other)
    local ms, no = string.match(one, '^(%d+)-(%d+)$')
    local otherMs, otherNo = string.match(other, '^(%d+)-(%d+)$')
    return tonumber(ms) < tonumber(otherMs) or (ms == otherMs and tonumber(no) < tonumber(otherNo))
  end
  for _, id in ipairs(ids) do
    least = (least and not isBelow(id, least)) and least or id
    most = (most and not isBelow(most, id)) and most or id
  end
  local page = call('XPENDING', records.streamKey(group, 'a'), group.pool, least, most, MOST_HELD, session.id)
  local held = {}
  for _, pending in ipairs(page) do
    held[pending[1]] = true
  end
  for _, id in ipairs(#page == MOST_HELD and ids or {}) do
    held[id] = leases.isHeldBy(session, group, 'a', id)
  end
  return held
end

-- Whether the task's try says that this is the attempt which its entry stands for.
local function isAttempt(try, one)
  return string.match(try, '"state":"(%a+)"') == 'queued' and string.match(try, '"entry":"a([%d-]+)"') == one.id
    and tonumber(string.match(try, '"attempt":(%d+)')) + 1 == tonumber(one.attempt)
end

-- Those of the batch's outcomes whose leases the session holds, as a set of their places.
local function findOwn(session, group, batch)
  local own, tasks, ids = {}, {}, {}
  for at, one in ipairs(batch.ones) do
    tasks[at], ids[at] = one.task, one.id
  end
  local held = heldAmong(session, group, ids)
  for at, try in ipairs(call('HMGET', group.execution.key .. ':tries', unpack(tasks))) do
    local id = ids[at]
    own[at] = held[id] and try and isAttempt(try, batch.ones[at])
    held[id] = held[id] and not own[at]
  end
  return own
end

local function forgetOrders(session, group, batch)
  for _, one in ipairs(session.orders > 0 and batch.ones or {}) do
    local lease = { group = group, kind = 'a', id = one.id, task = tonumber(one.task), attempt = tonumber(one.attempt) }
    orders.forget(session, orders.refOf(lease, session.no))
  end
end

local function commitAgain(session, batch)
  local execution = records.execution(batch.execution)
  local group = execution and not execution.isEnded and records.group(execution, batch.no)
  local own = {}
  if group and group.has.again and batch.session == session.no then
    forgetOrders(session, group, batch)
    own = findOwn(session, group, batch)
  end
  local verdicts, ids, tasks, pairs_ = {}, {}, {}, {}
  for at, one in ipairs(batch.ones) do
    verdicts[at] = '1'
    if own[at] then
      ids[#ids + 1], tasks[#tasks + 1] = one.id, one.task
      pairs_[#pairs_ + 1] = one.task
      pairs_[#pairs_ + 1] = one.record
    end
  end
  if #ids > 0 then
    leases.dropAll(group, 'a', ids)
    storeTasks(session, group, table.concat(tasks, ','), pairs_)
  end
  for at, one in ipairs(batch.ones) do
    if not own[at] and not (execution and isCountedResult(execution, one.task, 'a' .. one.id)) then
      verdicts[at] = '0'
      refuse(execution, 1)
    end
  end
  return #ids == batch.n and 1 or table.concat(verdicts)
end

-- ── Everything else ─────────────────────────────────────────────────────────────────────────────

-- Whether the outcome is of the lease's kind and speaks of its items only, in ascending order.
local function fits(lease, one)
  local function isInside(item)
    return lease.start and item >= lease.start and item < lease.last
  end
  if one.outcome == 'completed' or one.outcome == 'skipped' or one.outcome == 'suspended' then
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

-- What a person asks for later: what an attempt printed that did not fail.
local function rememberOutput(session, lease, one)
  if one.output ~= '' then
    local outcome = one.outcome == 'chunk' and 'completed' or one.outcome
    leases.remember(lease, session.worker, outcome, { output = one.output, durationMs = one.durationMs })
  end
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

-- The task's own condition: it is skipped, and what comes after it is too, or goes on.
local function applySkipped(session, lease, one)
  rememberOutput(session, lease, one)
  local group, passes = lease.group, one.values == 'release'
  local hasPassed = leases.hasPassed(lease)
  leases.noteTry(lease, {
    state = 'skipped', attempt = lease.attempt, failures = lease.failures, losses = lease.losses, ended = lease.ended,
    as = 'skipped', passes = passes, at = now,
  })
  books.move(group, 'running', 'skipped', 1)
  journal.tasks(group.execution, { state = 'skipped', text = int(lease.task), reason = 'condition' })
  suspending.complete(group.execution, { int(lease.task) })
  if passes and hasPassed then
    return
  elseif passes then
    dependents.release(group.execution, lease.task)
  else
    dependents.skip(group.execution, lease.task)
  end
end

local function applySuspended(session, lease, one)
  local problem = suspending.problem(lease, one)
  if problem then
    one.failure = '{"class":"invalid-input","code":"BATCH_TOO_LARGE","message":"' .. problem .. '"}'
    one.class = 'invalid-input'
    applyFailed(session, lease, one)
    return
  end
  rememberOutput(session, lease, one)
  suspending.suspend(lease, one)
end

local function apply(session, lease, one)
  lease.ended = leases.nameOf(lease)
  if one.outcome == 'returned' then
    leases.giveBack(lease, session.worker, false)
  elseif one.outcome == 'failed' then
    applyFailed(session, lease, one)
  elseif one.outcome == 'skipped' then
    applySkipped(session, lease, one)
  elseif one.outcome == 'suspended' then
    applySuspended(session, lease, one)
  else
    rememberOutput(session, lease, one)
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
  elseif batch.isAgain then
    return commitAgain(session, batch)
  end
  return commitOne(session, batch)
end
