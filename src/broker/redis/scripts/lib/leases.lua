-- Leases: pending entries of a group's streams. An attempt is an entry (its id is part of the fencing
-- token), and whatever takes an attempt away adds the work again as a new entry and deletes this one
-- in the same step. So an entry that is still pending proves ownership, and nothing else does.
--
-- What happened to a task whose first try did not just succeed stands in the hash `tries`.

local function fieldsToTable(fields)
  local values = {}
  for at = 1, #fields, 2 do
    values[fields[at]] = fields[at + 1]
  end
  return values
end

local function parseLease(group, kind, entry)
  local values = fieldsToTable(entry[2])
  local lease = {
    group = group,
    kind = kind,
    id = entry[1],
    attempt = count(values.attempt) + 1,
    failures = count(values.failures),
    losses = count(values.losses),
    isCareful = values.careful == '1',
    input = values.input,
    parents = values.parents,
  }
  if values.start then
    lease.task = group.first
    lease.start = tonumber(values.start)
    lease.last = tonumber(values['end'])
    lease.replica = values.replica and tonumber(values.replica)
  else
    lease.task = kind == 'q' and tonumber(string.match(entry[1], '^%d+')) or tonumber(values.task)
  end
  return lease
end

leases.parse = parseLease

-- The lease of an entry, or nil when the entry is gone.
function leases.read(group, kind, id)
  local found = call('XRANGE', records.streamKey(group, kind), id, id)
  return found[1] and parseLease(group, kind, found[1])
end

-- Whether an entry is pending for the session: its lease.
function leases.isHeldBy(session, group, kind, id)
  local found = group.has[records.STREAMS[kind]]
    and call('XPENDING', records.streamKey(group, kind), group.pool, id, id, 1, session.id)
  return found and #found == 1
end

-- The name of an attempt's entry within its execution's group.
local function entryName(lease)
  return lease.kind .. lease.id
end

-- The attempts' entries go, in one command where the server has it.
function leases.dropAll(group, kind, ids)
  local key = records.streamKey(group, kind)
  if HAS_XACKDEL then
    call('XACKDEL', key, group.pool, 'IDS', #ids, unpack(ids))
  else
    call('XACK', key, group.pool, unpack(ids))
    call('XDEL', key, unpack(ids))
  end
end

local function dropEntry(lease)
  leases.dropAll(lease.group, lease.kind, { lease.id })
end

leases.drop = dropEntry
leases.nameOf = entryName

local function tryText(record)
  local parts = { '"state":"' .. record.state .. '"' }
  local function number(name)
    if record[name] then
      parts[#parts + 1] = '"' .. name .. '":' .. int(record[name])
    end
  end
  local function text(name)
    if record[name] then
      parts[#parts + 1] = '"' .. name .. '":' .. cjson.encode(record[name])
    end
  end
  number('attempt')
  number('failures')
  number('losses')
  number('notBefore')
  number('at')
  number('last')
  if record.passes then
    parts[#parts + 1] = '"passes":true'
  end
  text('entry')
  text('ended')
  text('as')
  text('worker')
  if record.failure then
    parts[#parts + 1] = '"failure":' .. record.failure
  end
  return '{' .. table.concat(parts, ',') .. '}'
end

leases.tryText = tryText

local function tryKey(lease)
  return lease.start and int(lease.task) .. ':' .. int(lease.start) or int(lease.task)
end

-- Whether what waits for the task was let go without a result of it.
function leases.hasPassed(lease)
  local known = call('HGET', lease.group.execution.key .. ':tries', tryKey(lease))
  return known and string.find(known, '"passes":true', 1, true) ~= nil
end

-- record: state, attempt, failures, losses; entry (the new one), ended and `as` (the attempt that led
-- to it and how, so that its outcome is known when it is told again), notBefore, at, failure (JSON);
-- passes: it has ended without a result, and what comes after it went on as if it had completed; where it is not said, that
-- stays as it was, also when the task is tried once more by hand.
function leases.noteTry(lease, record)
  if record.passes == nil and lease.group.passes then
    record.passes = leases.hasPassed(lease)
  end
  call('HSET', lease.group.execution.key .. ':tries', tryKey(lease), tryText(record))
end

-- The same record with some of its fields changed.
function leases.renote(lease, changes)
  local known = call('HGET', lease.group.execution.key .. ':tries', tryKey(lease))
  local record = known and cjson.decode(known) or { attempt = 0, failures = 0, losses = 0 }
  record.failure = known and string.match(known, '"failure":(.*)}$')
  record.notBefore = nil
  for name, value in pairs(changes) do
    record[name] = value
  end
  leases.noteTry(lease, record)
end

-- Texts of the previous failure, to be kept when the task moves on.
local function lastFailure(lease)
  if lease.failures == 0 then
    return nil
  end
  local known = call('HGET', lease.group.execution.key .. ':tries', tryKey(lease))
  return known and string.match(known, '"failure":(.*)}$')
end

leases.lastFailure = lastFailure

-- Adds the task to the work that came back. `tries`: attempt, failures, losses so far.
local function enqueueAgain(lease, tries)
  local group = lease.group
  records.ensureStream(group, 'a')
  local fields = { 'task', int(lease.task) }
  -- An entry is found by going through its neighbours: short ones are found sooner.
  for _, name in ipairs({ 'attempt', 'failures', 'losses' }) do
    if tries[name] > 0 then
      fields[#fields + 1] = name
      fields[#fields + 1] = int(tries[name])
    end
  end
  if lease.input then
    fields[#fields + 1] = 'input'
    fields[#fields + 1] = lease.input
  end
  if lease.parents then
    fields[#fields + 1] = 'parents'
    fields[#fields + 1] = lease.parents
  end
  local entry = call('XADD', records.streamKey(group, 'a'), '*', unpack(fields))
  if group.isRanked then
    ready.rank(group, lease.task, entry, lease.rank)
  end
  return 'a' .. entry
end

leases.enqueueAgain = enqueueAgain

-- ── Blocked and held ────────────────────────────────────────────────────────────────────────────

-- Whether the task is not to start until it is let go.
function leases.isHeld(execution, task)
  return execution.holds and call('SISMEMBER', execution.key .. ':held', int(task)) == 1
end

-- A hold ends with its task.
function leases.endHold(execution, task)
  if execution.holds then
    call('SREM', execution.key .. ':held', int(task))
  end
end

-- Writes that the task waits for as much as `open`. `how`: attempt, failures, losses, ended, as, failure; notBefore: it
-- does not start before, either.
function leases.writeBlocked(lease, how, open)
  local key = lease.group.execution.key
  call('HSET', key .. ':blocked', int(lease.task), cjson.encode({
    lease.input, lease.parents or false, how.attempt, how.failures, how.losses, how.notBefore or false,
  }))
  call('HSET', key .. ':waits', int(lease.task), int(open))
  suspending.await(lease.group.execution, lease.task)
  leases.noteTry(lease, {
    state = 'blocked', attempt = how.attempt, failures = how.failures, losses = how.losses, ended = how.ended,
    as = how.as, failure = how.failure, passes = how.passes,
  })
end

-- The running task comes back and is held.
local function blockHeld(lease, how)
  local group = lease.group
  how.failure = how.failure or lastFailure(lease)
  leases.writeBlocked(lease, how, 1 + suspending.counts(group.execution, how.suspension))
  books.move(group, 'running', 'blocked', 1)
  journal.tasks(group.execution, { state = 'blocked', text = int(lease.task), reason = how.reason })
end

-- ── Coming back ─────────────────────────────────────────────────────────────────────────────────

-- The running task is ready again. `how`: reason, attempt, failures, losses, ended, as, failure.
function leases.requeueTask(lease, how)
  local group = lease.group
  if leases.isHeld(group.execution, lease.task) then
    return blockHeld(lease, how)
  end
  local entry = enqueueAgain(lease, how)
  leases.noteTry(lease, {
    state = 'queued', attempt = how.attempt, failures = how.failures, losses = how.losses, entry = entry,
    ended = how.ended, as = how.as, failure = how.failure or lastFailure(lease),
  })
  books.move(group, 'running', 'queued', 1)
  journal.tasks(group.execution, { state = 'queued', text = int(lease.task), reason = how.reason })
  ready.offer(group, 1)
end

-- The task, which runs unless `how.from` says otherwise, will be ready later.
local function scheduleTask(lease, how)
  local group = lease.group
  local execution = group.execution
  if leases.isHeld(execution, lease.task) then
    return blockHeld(lease, how)
  end
  local content = { int(lease.task), int(how.attempt), int(how.failures), int(how.losses), lease.input or '',
    lease.parents or '' }
  call('HSET', execution.key .. ':later', int(lease.task), cjson.encode(content))
  suspending.await(execution, lease.task)
  if group.notBefore then
    call('HINCRBY', group.key, 'apart', 1)
  end
  call('ZADD', PREFIX .. 'due', int(how.notBefore), 't:' .. group.no .. ':' .. int(lease.task) .. ':' .. execution.id)
  leases.noteTry(lease, {
    state = 'scheduled', attempt = how.attempt, failures = how.failures, losses = how.losses, ended = how.ended,
    as = how.as, failure = how.failure, notBefore = how.notBefore,
  })
  if how.from ~= 'scheduled' then
    books.move(group, how.from or 'running', 'scheduled', 1)
    journal.tasks(execution, { state = 'scheduled', text = int(lease.task), reason = how.reason })
  end
end

leases.scheduleTask = scheduleTask

-- Remembers the execution's first failure; `failure` is JSON.
function leases.noteDeadLetter(lease, failure)
  local execution = lease.group.execution
  if not lease.group.passes then
    call('HSETNX', execution.key, 'firstFailure', failure)
  end
  letters.add(execution, tryKey(lease))
end

-- Keeps what a task was given, for when it is run again by hand: `PARENTS␟INPUT`.
function leases.keepInput(lease)
  local execution = lease.group.execution
  if lease.input and not execution.keepsInputs then
    call('HSET', execution.key .. ':inputs', int(lease.task), (lease.parents or '') .. UNIT .. lease.input)
  end
end

-- The running task is a dead letter.
function leases.buryTask(lease, how)
  local group = lease.group
  local hasPassed = group.passes and leases.hasPassed(lease)
  leases.keepInput(lease)
  leases.noteTry(lease, {
    state = 'failed', attempt = lease.attempt, failures = how.failures, losses = how.losses, ended = how.ended,
    as = how.as, failure = how.failure, at = now, passes = group.passes,
  })
  leases.noteDeadLetter(lease, how.failure)
  books.move(group, 'running', 'failed', 1)
  journal.tasks(group.execution, { state = 'failed', text = int(lease.task) })
  if not group.passes then
    dependents.skip(group.execution, lease.task)
  elseif not hasPassed then
    dependents.release(group.execution, lease.task)
  end
end

-- ── Failures ────────────────────────────────────────────────────────────────────────────────────

local randomState

eachCall(function()
  randomState = nil
end)

-- 0 ≤ x < 1: a small generator that the caller's number seeds, for scripts that need several.
local function random()
  randomState = ((randomState or math.floor(count(ARGV[2]) * 2147483647)) * 16807 + 12345) % 2147483647
  return randomState / 2147483647
end

-- The group's policy; the same arithmetic as src/core/retry.ts. Returns nil (dead letter) or a delay.
function leases.decideRetry(group, failures, class)
  if group.retry == nil then
    group.retry = cjson.decode(call('HGET', group.key, 'retry'))
  end
  local policy = group.retry
  for _, never in ipairs(policy.never) do
    if never == class then
      return nil
    end
  end
  if failures > policy.limit then
    return nil
  end
  local full = math.min(policy.maxMs, policy.baseMs * policy.factor ^ (failures - 1))
  if policy.jitter == 0 then
    return full
  end
  return math.floor(full * (1 - policy.jitter * random()) + 0.5)
end

-- One more failure of a separate task: tried again later, or dead. `failure`: JSON; `class`: its class.
-- `ended`: the attempt's name, or nil when it was taken away.
function leases.failTask(lease, failure, class, ended)
  local failures = lease.failures + 1
  local delayMs = leases.decideRetry(lease.group, failures, class)
  local how = {
    attempt = lease.attempt, failures = failures, losses = lease.losses, failure = failure, ended = ended,
    as = ended and 'failed', reason = 'retry',
  }
  if delayMs == nil then
    leases.buryTask(lease, how)
    return
  end
  books.note(lease.group.execution, 'retries', 1)
  if delayMs > 0 then
    how.notBefore = now + delayMs
    scheduleTask(lease, how)
  else
    leases.requeueTask(lease, how)
  end
end

-- The execution fails while the attempt runs: the work waits where it would if the execution ran again. Of what ran then
-- the events tell when it does.
function leases.shelve(lease, worker)
  local group = lease.group
  dropEntry(lease)
  if lease.replica then
    return
  end
  local record = {
    state = 'queued', attempt = lease.attempt, failures = lease.failures, losses = lease.losses, last = lease.last,
    worker = worker, failure = lastFailure(lease), isCareful = lease.isCareful,
  }
  if not lease.start and leases.isHeld(group.execution, lease.task) then
    leases.writeBlocked(lease, record, 1)
    books.move(group, 'running', 'blocked', 1)
    return
  end
  local text, items = int(lease.task), 1
  if lease.start then
    ranges.enqueue(group, lease.start, lease.last, record)
    text, items = ranges.textOf(lease, lease.start, lease.last), lease.last - lease.start
  else
    record.entry = enqueueAgain(lease, record)
  end
  leases.noteTry(lease, record)
  books.move(group, 'running', 'queued', items)
  call('RPUSH', group.execution.key .. ':stopped', text)
end

-- ── Ending without an outcome ───────────────────────────────────────────────────────────────────

local MAX_ATTEMPTS_KEPT = 1000

-- Keeps what a person asks for later: failed and lost attempts, and those that printed something.
function leases.remember(lease, worker, outcome, details)
  local fields = { 'task', int(lease.task), 'attempt', int(lease.attempt), 'worker', worker, 'outcome', outcome,
    'at', int(now) }
  local function add(name, value)
    if value and value ~= '' then
      fields[#fields + 1] = name
      fields[#fields + 1] = value
    end
  end
  add('start', lease.start and int(lease.start))
  add('end', lease.last and int(lease.last))
  add('failure', details and details.failure)
  add('output', details and details.output)
  add('durationMs', details and details.durationMs)
  call('XADD', lease.group.execution.key .. ':attempts', 'MAXLEN', MAX_ATTEMPTS_KEPT, '*', unpack(fields))
end

function leases.poison(losses)
  return '{"class":"worker-lost","code":"POISON_PILL","message":"' .. int(losses)
    .. ' workers died while they ran this; it is not tried again."}'
end

local function giveBackTask(lease, isLost)
  local losses = lease.losses + (isLost and 1 or 0)
  if losses >= lease.group.maxLosses then
    leases.buryTask(lease, { failures = lease.failures, losses = losses, failure = leases.poison(losses) })
    return
  end
  leases.requeueTask(lease, {
    attempt = isLost and lease.attempt or lease.attempt - 1, failures = lease.failures, losses = losses,
    ended = not isLost and entryName(lease) or nil, as = not isLost and 'returned' or nil,
    reason = isLost and 'lost' or 'returned',
  })
end

-- The lease ends without an outcome: handed back (costs nothing), or lost with its session. Its entry
-- must have been dropped.
function leases.giveBack(lease, worker, isLost)
  if isLost then
    books.note(lease.group.execution, 'lost', 1)
    leases.remember(lease, worker, 'lost')
  end
  if lease.replica then
    verification.requeue(lease, worker, isLost)
  elseif lease.start then
    ranges.giveBack(lease, isLost)
  else
    giveBackTask(lease, isLost)
  end
  if isLost then
    ready.recall(lease.group)
  end
end

-- All leases of a session in one lane. XCLAIM takes the entries over, with their fields; `keep` (optional)
-- names those to leave, which are then noted in `held`. Returns how many went back.
local function giveBackLane(session, group, isLost, keep, held)
  local returned = 0
  for _, kind in ipairs(records.KINDS) do
    local ids = {}
    orders.eachPending(group, kind, session.id, function(id)
      ids[#ids + 1] = id
    end)
    for _, id in ipairs(ids) do
      local entry = call('XCLAIM', records.streamKey(group, kind), group.pool, session.id, 0, id)[1]
      local lease = entry and entry[2] and parseLease(group, kind, entry)
      local name = lease and orders.refOf(lease, session.no)
      if lease and keep and keep[name] then
        held[name] = true
      elseif lease then
        dropEntry(lease)
        books.hold(session, group, -1)
        leases.giveBack(lease, session.worker, isLost)
        returned = returned + 1
      end
    end
  end
  return returned
end

-- All leases of a session: how many went back, and the names of those that it keeps.
function leases.giveBackAll(session, isLost, keep)
  local returned, held = 0, {}
  for _, lane in ipairs(call('HKEYS', session.key .. ':held')) do
    local no, id = string.match(lane, '^(%d+):(.*)$')
    local execution = records.live(id)
    if execution then
      returned = returned + giveBackLane(session, records.group(execution, no), isLost, keep, held)
    else
      call('HDEL', session.key .. ':held', lane)
    end
  end
  return returned, held
end
