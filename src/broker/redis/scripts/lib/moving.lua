-- Separate tasks on their way from one place to another, with all that is known of them; and holds.
--
-- A content: input, parents (JSON, nil for none); attempt, failures, losses so far; notBefore, where it waits for a time;
-- and of its try what must be known of it further on: failure (JSON), ended, as.

-- ── What a task is ──────────────────────────────────────────────────────────────────────────────

local read = {}

function read.blocked(place)
  local found = cjson.decode(call('HGET', place.execution.key .. ':blocked', place.name))
  return {
    input = found[1], parents = found[2] or nil, attempt = count(found[3]), failures = count(found[4]),
    losses = count(found[5]), notBefore = found[6] or nil,
  }
end

local function readEntry(place, isRunning)
  local lease = leases.read(place.group, place.entry and 'a' or 'q', place.entry or place.name .. '-1')
  return {
    input = lease.input, parents = lease.parents, attempt = lease.attempt - (isRunning and 0 or 1),
    failures = lease.failures, losses = lease.losses,
  }
end

function read.running(place)
  return readEntry(place, true)
end

function read.queued(place)
  return readEntry(place, false)
end

function read.scheduled(place)
  local text = call('HGET', place.execution.key .. ':later', place.name)
  if not text then
    return readEntry(place, false)
  end
  local found = cjson.decode(text)
  return {
    input = found[5], parents = found[6] ~= '' and found[6] or nil, attempt = tonumber(found[2]),
    failures = tonumber(found[3]), losses = tonumber(found[4]),
    notBefore = tonumber(string.match(place.try, '"notBefore":(%d+)')),
  }
end

function read.skipped(place)
  local content = {}
  for _, name in ipairs({ 'attempt', 'failures', 'losses' }) do
    content[name] = count(string.match(place.try, '"' .. name .. '":(%d+)'))
  end
  content.input, content.parents = replaying.inputOf(place.execution, place.task)
  return content
end

-- What is known of a task that has not ended, or was skipped; its place stays as it is.
function moving.content(place)
  local content = read[place.state](place)
  local try = place.try ~= '' and cjson.decode(place.try) or {}
  content.failure = string.match(place.try, '"failure":(.*)}$')
  if try.as ~= 'removed' then
    content.ended, content.as = try.ended, try.as
  end
  return content
end

-- The same, and it leaves its place; an attempt that runs is stopped.
function moving.take(place)
  local content = moving.content(place)
  undoing.giveUp(place)
  return content
end

-- ── Putting it somewhere else ───────────────────────────────────────────────────────────────────

local function tell(place, target, reason)
  if place.state ~= target then
    books.move(place.group, place.state, target, 1)
    journal.tasks(place.execution, { state = target, text = place.name, reason = reason })
  end
end

local function leaseOf(place, content)
  return { group = place.group, task = place.task, input = content.input, parents = content.parents, failures = content.failures }
end

-- It is skipped, told as `reason`.
function moving.skip(place, content, reason)
  local lease = leaseOf(place, content)
  leases.keepInput(lease)
  leases.noteTry(lease, {
    state = 'skipped', attempt = content.attempt, failures = content.failures, losses = content.losses, at = now,
    failure = content.failure, ended = content.ended, as = content.as,
  })
  tell(place, 'skipped', reason)
end

-- It waits for as much as `open`, its hold not counted.
function moving.block(place, content, open, reason)
  replaying.forgetInput(place.execution, place.task)
  leases.writeBlocked(leaseOf(place, content), content, open + (leases.isHeld(place.execution, place.task) and 1 or 0))
  tell(place, 'blocked', reason)
end

-- It waits for nothing but its time, where it has one.
function moving.start(place, content, reason)
  local lease = leaseOf(place, content)
  replaying.forgetInput(place.execution, place.task)
  if leases.isHeld(place.execution, place.task) then
    return moving.block(place, content, 0, reason)
  end
  -- That a delayed group falls due is not told: a task of which more was told than its birth has a time of its own.
  if suspending.hasCome(place.execution, place.task) then
    content.notBefore = nil
  end
  local notBefore = math.max(content.notBefore or 0, place.group.notBefore or 0)
  if notBefore > now or place.group.notBefore then
    content.notBefore, content.from, content.reason = notBefore, place.state, reason
    leases.scheduleTask(lease, content)
    return
  end
  local record = {
    state = 'queued', attempt = content.attempt, failures = content.failures, losses = content.losses,
    failure = content.failure, ended = content.ended, as = content.as,
  }
  suspending.wake(place.execution, place.task, 'tasks')
  record.entry = leases.enqueueAgain(lease, record)
  leases.noteTry(lease, record)
  tell(place, 'queued', reason)
  ready.offer(place.group, 1)
end

-- ── Holds ───────────────────────────────────────────────────────────────────────────────────────

-- The tasks, ascending, are held from now on; none of them has ended.
function moving.hold(execution, tasks, reason)
  if #tasks > 0 and not execution.holds then
    execution.holds = true
    call('HSET', execution.key, 'holds', '1')
  end
  undoing.each(execution, tasks, function(place)
    local content = (place.state == 'queued' or place.state == 'scheduled') and moving.take(place)
    call('SADD', execution.key .. ':held', place.name)
    if content then
      moving.block(place, content, suspending.counts(execution, suspending.of(execution, place.task)), reason)
    elseif place.state == 'blocked' then
      call('HINCRBY', execution.key .. ':waits', place.name, 1)
    end
  end)
end

-- The tasks, ascending, which are held, are let go.
function moving.letGo(execution, tasks, reason)
  undoing.each(execution, tasks, function(place)
    call('SREM', execution.key .. ':held', place.name)
    if place.state == 'blocked' then
      dependents.arrived(execution, place.name, reason)
    end
  end)
end
