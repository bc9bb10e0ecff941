-- Items of arrays: chunks that are carved, come back, are divided, fail item by item. A chunk's entry
-- lives from its carving to its outcome; good items never wait for a bad neighbour.

local POISON_PIECES = 100

local function textOf(lease, from, to)
  return '[' .. int(lease.task) .. ',' .. int(from) .. ',' .. int(to) .. ']'
end

ranges.textOf = textOf

-- Ranges that wait stand in a sorted set by their start; a member tells end, attempt, failures, losses so
-- far, and whether the chunk is to be run carefully.
local function waitingKey(group)
  return group.execution.key .. ':ranges:' .. group.no
end

function ranges.enqueue(group, from, to, tries)
  local member = { int(from), int(to), int(tries.attempt or 0), int(tries.failures or 0), int(tries.losses or 0),
    tries.isCareful and '1' or '0' }
  call('ZADD', waitingKey(group), int(from), table.concat(member, ':'))
end

-- The waiting range that starts first, or nil: start, last, and its tries.
function ranges.take(group)
  local found = call('ZPOPMIN', waitingKey(group))
  if #found == 0 then
    return nil
  end
  local parts = {}
  for part in string.gmatch(found[1], '%d+') do
    parts[#parts + 1] = tonumber(part)
  end
  return parts[1], parts[2], { attempt = parts[3], failures = parts[4], losses = parts[5], isCareful = parts[6] == 1 }
end

-- Adds a chunk to the group's stream of chunks; `tries` as above, and the number of a copy.
function ranges.add(group, from, to, tries)
  records.ensureStream(group, 'c')
  local fields = { 'start', int(from), 'end', int(to) }
  local function add(name, value)
    if value and value > 0 then
      fields[#fields + 1] = name
      fields[#fields + 1] = int(value)
    end
  end
  add('attempt', tries.attempt)
  add('failures', tries.failures)
  add('losses', tries.losses)
  add('careful', tries.isCareful and 1 or 0)
  add('replica', tries.replica)
  call('XADD', records.streamKey(group, 'c'), '*', unpack(fields))
end

-- A part [from, to) of a running chunk, as a lease of its own for the records.
local function partOf(lease, from, to)
  return { group = lease.group, task = lease.task, start = from, last = to, failures = lease.failures }
end

local function record(state, how, to)
  return {
    state = state, attempt = how.attempt, failures = how.failures, losses = how.losses, ended = how.ended,
    as = how.as, failure = how.failure, notBefore = how.notBefore, last = to, at = how.at,
  }
end

-- Running items are ready again.
function ranges.requeue(lease, from, to, how)
  local group = lease.group
  ranges.enqueue(group, from, to, how)
  leases.noteTry(partOf(lease, from, to), record('queued', how, to))
  books.move(group, 'running', 'queued', to - from)
  journal.tasks(group.execution, { state = 'queued', text = textOf(lease, from, to), reason = how.reason })
  ready.offer(group, 1)
end

-- Running items will be ready later.
local function schedule(lease, from, to, how)
  local group = lease.group
  local execution = group.execution
  local field = int(lease.task) .. ':' .. int(from)
  local content = { int(to), int(how.attempt), int(how.failures), int(how.losses), how.isCareful and '1' or '0' }
  call('HSET', execution.key .. ':later', field, cjson.encode(content))
  call('ZADD', PREFIX .. 'due', int(how.notBefore), 'r:' .. group.no .. ':' .. int(from) .. ':' .. execution.id)
  leases.noteTry(partOf(lease, from, to), record('scheduled', how, to))
  books.move(group, 'running', 'scheduled', to - from)
  journal.tasks(execution, { state = 'scheduled', text = textOf(lease, from, to), reason = how.reason })
end

-- Running items are dead letters.
local function bury(lease, from, to, how)
  local group = lease.group
  how.at = now
  local part = partOf(lease, from, to)
  leases.noteTry(part, record('failed', how, to))
  leases.noteDeadLetter(part, how.failure)
  books.move(group, 'running', 'failed', to - from)
  journal.tasks(group.execution, { state = 'failed', text = textOf(lease, from, to) })
end

-- One more failure for a range: tried again later, or dead.
function ranges.charge(lease, from, to, failure)
  local failures = lease.failures + 1
  local delayMs = leases.decideRetry(lease.group, failures, failure.class)
  local how = {
    attempt = lease.attempt, failures = failures, losses = lease.losses, isCareful = lease.isCareful,
    failure = failure.text, ended = lease.ended, as = lease.ended and 'failed', reason = 'retry',
  }
  if delayMs == nil then
    bury(lease, from, to, how)
    return
  end
  books.note(lease.group.execution, 'retries', 1)
  if delayMs > 0 then
    how.notBefore = now + delayMs
    schedule(lease, from, to, how)
  else
    ranges.requeue(lease, from, to, how)
  end
end

-- An array is a parent like any other task, once its last item has ended.
function ranges.endArray(group)
  if not group.execution.isLinked then
    return
  end
  books.flush()
  local row = call('HMGET', group.key, 'queued', 'running', 'scheduled', 'failed')
  if count(row[1]) + count(row[2]) + count(row[3]) > 0 then
    return
  end
  if count(row[4]) == 0 then
    dependents.release(group.execution, group.first)
  else
    dependents.skip(group.execution, group.first)
  end
end

-- The whole attempt failed: the culprit is charged if it is known, else looked for. `failure`: text, class.
function ranges.fail(lease, failure, culprit)
  if culprit == nil and lease.last - lease.start == 1 then
    culprit = lease.start
  end
  local function again(isCareful)
    return {
      attempt = lease.attempt, failures = lease.failures, losses = lease.losses, isCareful = isCareful,
      ended = lease.ended, as = lease.ended and 'failed', reason = 'retry',
    }
  end
  local isHopeless = false
  leases.decideRetry(lease.group, 1, failure.class)
  for _, never in ipairs(lease.group.retry.never) do
    isHopeless = isHopeless or never == failure.class
  end
  if culprit then
    if culprit > lease.start then
      ranges.requeue(lease, lease.start, culprit, again(false))
    end
    ranges.charge(lease, culprit, culprit + 1, failure)
    if culprit + 1 < lease.last then
      ranges.requeue(lease, culprit + 1, lease.last, again(false))
    end
  elseif isHopeless or lease.isCareful then
    ranges.charge(lease, lease.start, lease.last, failure)
  else
    books.note(lease.group.execution, 'retries', 1)
    ranges.requeue(lease, lease.start, lease.last, again(true))
  end
  ranges.endArray(lease.group)
end

function ranges.giveBack(lease, isLost)
  local maxLosses = lease.group.maxLosses
  local losses = lease.losses + (isLost and 1 or 0)
  local how = {
    attempt = isLost and lease.attempt or lease.attempt - 1, failures = lease.failures, losses = losses,
    isCareful = lease.isCareful, ended = not isLost and lease.kind .. lease.id or nil,
    as = not isLost and 'returned' or nil, reason = isLost and 'lost' or 'returned',
  }
  if losses >= maxLosses then
    how.failure = leases.poison(losses)
    bury(lease, lease.start, lease.last, how)
    ranges.endArray(lease.group)
    return
  end
  local size = lease.last - lease.start
  local step = (isLost and losses == maxLosses - 1) and math.ceil(size / POISON_PIECES) or size
  local from = lease.start
  while from < lease.last do
    local to = math.min(lease.last, from + step)
    local part = {}
    for name, value in pairs(how) do
      part[name] = value
    end
    ranges.requeue(lease, from, to, part)
    from = to
  end
end

-- ── Outcomes ────────────────────────────────────────────────────────────────────────────────────

local MIN_ITEM_MS = 1e-6
local MAX_SURPRISE = 4

-- The moving average of an item's duration; the same arithmetic as src/core/chunking.ts.
local function updateAverage(group, items, durationMs)
  if not (items > 0 and durationMs >= 0) then
    return
  end
  local measured = math.max(MIN_ITEM_MS, durationMs / items)
  local previous = call('HGET', group.key, 'averageItemMs')
  if previous then
    previous = tonumber(previous)
    local surprise = math.min(MAX_SURPRISE, math.max(1 / MAX_SURPRISE, measured / previous))
    measured = math.max(MIN_ITEM_MS, previous * math.sqrt(surprise))
  end
  call('HSET', group.key, 'averageItemMs', string.format('%.17g', measured))
end

local function storeResult(lease, outcome, items)
  local key = lease.group.execution.key
  local field = int(lease.task) .. ':' .. int(lease.start) .. ':' .. int(lease.last)
  local head = '{"entry":"' .. lease.ended .. '","attempt":' .. int(lease.attempt) .. ',"durationMs":'
    .. outcome.durationMs
  if #outcome.failures > 0 then
    head = head .. ',"missing":[' .. table.concat(items, ',') .. ']'
  end
  if outcome.partial ~= '' then
    head = head .. ',"partial":' .. outcome.partial
  end
  call('HSET', key .. ':results', field, head .. '}')
  if outcome.values ~= '' and call('HGET', lease.group.key, 'results') ~= 'discard' then
    call('HSET', key .. ':values', field, outcome.values)
  end
end

-- Tells of the items that completed, range by range between those that failed.
local function tellCompleted(lease, failures, worker)
  local isNamed = false
  local from = lease.start
  local function tell(to)
    if to > from then
      local result = nil
      if #failures > 0 then
        result = isNamed and '' or textOf(lease, lease.start, lease.last)
      end
      journal.tasks(lease.group.execution, {
        state = 'completed', text = textOf(lease, from, to), worker = worker, result = result,
      })
      isNamed = true
    end
    from = to + 1
  end
  for _, failure in ipairs(failures) do
    tell(failure.item)
  end
  tell(lease.last)
end

-- A chunk was computed, but for `outcome.failures` (item, text, class, ascending).
function ranges.commit(lease, session, outcome)
  local group = lease.group
  local failures = outcome.failures
  local size = lease.last - lease.start
  local completed = size - #failures
  local items = {}
  for at, failure in ipairs(failures) do
    items[at] = int(failure.item)
  end
  if completed > 0 then
    storeResult(lease, outcome, items)
    books.move(group, 'running', 'completed', completed)
  end
  updateAverage(group, size, tonumber(outcome.durationMs))
  session.completed = session.completed + completed
  tellCompleted(lease, failures, session.worker)
  for _, failure in ipairs(failures) do
    ranges.charge(lease, failure.item, failure.item + 1, failure)
  end
  if #failures == 0 and outcome.isSampled then
    verification.sample(lease, session, outcome)
  end
  ranges.endArray(group)
end
