-- What has ended runs again by somebody's hand: executions, dead letters, and what was skipped because of them.
--
-- A replayed piece starts with no failures and no losses; its attempts go on counting, and its new place has a new token.
-- What it needs is in `inputs`, which holds `PARENTS␟INPUT` of every task that failed or was skipped, or of all tasks
-- where the submitter asked for that.

-- The input and the parents (JSON, nil for none) of a task; nil when they are not kept.
function replaying.inputOf(execution, task)
  local content = call('HGET', execution.key .. ':inputs', int(task))
  if not content then
    return nil
  end
  local at = string.find(content, UNIT, 1, true)
  return string.sub(content, at + 1), at > 1 and string.sub(content, 1, at - 1) or nil
end

function replaying.forgetInput(execution, task)
  if not execution.keepsInputs then
    call('HDEL', execution.key .. ':inputs', int(task))
  end
end

-- How often a task was tried so far.
function replaying.attemptsOf(execution, task)
  local known = call('HGET', execution.key .. ':tries', int(task))
  return known and tonumber(string.match(known, '"attempt":(%d+)')) or 0
end

-- ── Executions ──────────────────────────────────────────────────────────────────────────────────

-- Of an execution whose work went with its end, each group makes its streams anew when it needs them.
local function forgetStreams(execution, no)
  call('HDEL', execution.key .. ':group:' .. no, 'queue', 'again', 'chunks', 'ran')
end

-- Work that was kept counts in its pool again, and is handed out.
local function joinPool(execution, no)
  call('HDEL', execution.key .. ':group:' .. no, 'ran')
  local group = records.group(execution, no)
  local row = call('HMGET', group.key, 'queued', 'scheduled', 'blocked')
  local waiting = {}
  for at, state in ipairs({ 'queued', 'scheduled', 'blocked' }) do
    waiting[state] = count(row[at])
  end
  books.join(group, waiting)
  if group.notBefore then
    call('ZADD', PREFIX .. 'due', int(group.notBefore), 'g:' .. group.no .. '::' .. execution.id)
  elseif waiting.queued > 0 then
    ready.offerAll(group, waiting.queued)
  end
end

-- Who has suspended itself for a time, or for a signal that did not come, goes on waiting.
local function waitOn(execution, field)
  local record = not string.find(field, ':', 1, true) and suspending.of(execution, field)
  local try = record and not record.woken and call('HGET', execution.key .. ':tries', field)
  local notBefore = try and string.match(try, '"notBefore":(%d+)')
  if notBefore then
    local group = records.groupOfTask(execution, field)
    call('ZADD', PREFIX .. 'due', notBefore, 't:' .. group.no .. ':' .. field .. ':' .. execution.id)
  end
  return notBefore ~= nil and notBefore ~= false
end

-- What ran, or waited for its next try, when the execution ended.
local function queueStopped(execution)
  local key = execution.key .. ':stopped'
  for _, text in ipairs(call('LRANGE', key, 0, -1)) do
    journal.tasks(execution, { state = 'queued', text = text, reason = 'reopened' })
  end
  call('UNLINK', key)
  for _, field in ipairs(call('HKEYS', execution.key .. ':later')) do
    if not waitOn(execution, field) then
      later.queue(execution, field, 'reopened')
    end
  end
end

-- Rescue tasks that were skipped because nothing had failed wait again.
local function awaitRescue(execution, reason)
  for no = 0, execution.groups - 1 do
    local group = records.group(execution, no)
    for task = group.first, group.isRescue and group.first + group.count - 1 or -1 do
      local try = call('HGET', execution.key .. ':tries', int(task)) or ''
      local input, parents = replaying.inputOf(execution, task)
      -- Not by its own condition, and not by a person.
      local isPassedOver = string.match(try, '"state":"(%a+)"') == 'skipped' and not string.find(try, '"as":"', 1, true)
      if isPassedOver and input then
        call('SADD', execution.key .. ':rescue', int(task))
        replaying.block(group, task, { input = input, parents = parents, attempt = replaying.attemptsOf(execution, task) }, 1)
        replaying.forgetInput(execution, task)
        books.move(group, 'skipped', 'blocked', 1)
        journal.tasks(execution, { state = 'blocked', text = int(task), reason = reason })
      end
    end
  end
end

-- An execution that has ended runs again, which is told as `reason`. Its groups must be read after this.
function replaying.reopen(execution, reason)
  if not execution.isEnded then
    return
  end
  local row = call('HMGET', execution.key, 'birth', 'kept')
  call('HDEL', execution.key, 'ended', 'kept', 'pausedAt', 'pausedBy')
  call('ZADD', PREFIX .. 'live', row[1], execution.id)
  call('ZREM', PREFIX .. 'purge', execution.id)
  execution.isEnded, execution.isKept = false, false
  for key, group in pairs(records.groups) do
    if group.execution == execution then
      records.groups[key] = nil
    end
  end
  execution.lastGroup = nil
  books.changeState(execution, 'running')
  for no = 0, execution.groups - 1 do
    if row[2] then
      joinPool(execution, no)
    else
      forgetStreams(execution, no)
    end
  end
  if execution.hasRescue then
    awaitRescue(execution, reason)
  end
  if row[2] then
    queueStopped(execution)
  end
  books.touch(execution)
end

-- Dead letters that stay when others are run again do not count towards the execution's end.
function replaying.forgive(execution)
  books.flush()
  local row = call('HMGET', execution.key, 'failed', 'passed')
  local failed = count(row[1]) - count(row[2])
  call('HSET', execution.key, 'forgiven', failed)
  if failed == 0 then
    call('HDEL', execution.key, 'firstFailure')
  end
end

-- ── Dead letters ────────────────────────────────────────────────────────────────────────────────

local function replayRange(execution, record)
  local group = records.groupOfTask(execution, record.task)
  local range = { group = group, task = record.task, start = record.start, last = record.last }
  local how = { state = 'queued', attempt = record.attempt, failures = 0, losses = 0, last = record.last }
  ranges.enqueue(group, record.start, record.last, how)
  leases.noteTry(range, how)
  books.move(group, 'failed', 'queued', record.last - record.start)
  journal.tasks(execution, {
    state = 'queued', text = ranges.textOf(range, record.start, record.last), reason = 'replayed',
  })
  ready.offer(group, 1)
end

local function replayTask(execution, record)
  local input, parents = replaying.inputOf(execution, record.task)
  local group = records.groupOfTask(execution, record.task)
  local task = { group = group, task = record.task, input = input, parents = parents }
  local how = { state = 'queued', attempt = record.attempt, failures = 0, losses = 0 }
  leases.endHold(execution, record.task)
  how.entry = leases.enqueueAgain(task, how)
  leases.noteTry(task, how)
  replaying.forgetInput(execution, record.task)
  books.move(group, 'failed', 'queued', 1)
  journal.tasks(execution, { state = 'queued', text = int(record.task), reason = 'replayed' })
  ready.offer(group, 1)
end

-- A letter of an execution that runs is queued again.
function replaying.letter(execution, field, record)
  local replay = record.start and replayRange or replayTask
  replay(execution, record)
  letters.remove(execution, field)
end

-- ── What waits for others ───────────────────────────────────────────────────────────────────────

-- How many of a task's parents have not completed, and whether one of them is dead; with `task`, also of what it has
-- suspended itself for.
function replaying.openParents(execution, parents, task)
  local open, isDead, seen = 0, false, {}
  for _, parent in ipairs(parents and cjson.decode(parents) or {}) do
    local state = not seen[parent] and dependents.parentState(execution, int(parent))
    seen[parent] = true
    open = open + (state == 'open' and 1 or 0)
    isDead = isDead or state == 'dead'
  end
  local suspension = task and suspending.of(execution, task)
  if suspension then
    local more, isMoreDead = suspending.open(execution, suspension)
    open, isDead = open + more, isDead or isMoreDead
  end
  return open, isDead
end

-- A task waits for its parents, `open` of which have not completed, and for what it has suspended itself for.
function replaying.block(group, task, content, open)
  local lease = { group = group, task = task, input = content.input, parents = content.parents }
  local how = { attempt = content.attempt, failures = 0, losses = 0, passes = false }
  leases.writeBlocked(lease, how, open + (leases.isHeld(group.execution, task) and 1 or 0))
end

-- Whether a task was skipped because a person removed it, by its try. In texts of users quotes are escaped.
function replaying.isRemoved(try)
  return string.find(try, '"as":"removed"', 1, true) ~= nil
end

-- Whether it was skipped because of a parent: neither removed nor by its own condition.
local function isSkipped(execution, task)
  local known = call('HGET', execution.key .. ':tries', int(task))
  return known and string.match(known, '"state":"(%a+)"') == 'skipped' and not replaying.isRemoved(known)
    and not string.find(known, '"as":"skipped"', 1, true)
end

-- Whether none of a skipped task's parents is dead, once those in `alive` are not.
local function mayLive(execution, task, alive)
  local input, parents = replaying.inputOf(execution, task)
  parents = suspending.parents(suspending.of(execution, task), parents)
  for _, parent in ipairs(parents and cjson.decode(parents) or {}) do
    if not alive[parent] and dependents.parentState(execution, int(parent)) == 'dead' then
      return false
    end
  end
  return input ~= nil
end

-- Tasks that were skipped because of these, directly or not, and of no others; parents before children.
local function revivable(execution, tasks)
  local alive, open, found = {}, {}, {}
  for _, task in ipairs(tasks) do
    alive[task] = true
    open[#open + 1] = task
  end
  while #open > 0 do
    for child in dependents.childrenOf(execution, table.remove(open)) do
      local task = tonumber(child)
      if not alive[task] and isSkipped(execution, task) and mayLive(execution, task, alive) then
        alive[task] = true
        open[#open + 1] = task
        found[#found + 1] = task
      end
    end
  end
  return found
end

-- The tasks may complete after all: what was skipped because of them waits for them again.
function replaying.revive(execution, tasks)
  for _, task in ipairs(revivable(execution, tasks)) do
    local content = { attempt = replaying.attemptsOf(execution, task) }
    content.input, content.parents = replaying.inputOf(execution, task)
    local group = records.groupOfTask(execution, task)
    replaying.block(group, task, content, (replaying.openParents(execution, content.parents, task)))
    replaying.forgetInput(execution, task)
    books.move(group, 'skipped', 'blocked', 1)
    journal.tasks(execution, { state = 'blocked', text = int(task), reason = 'replayed' })
  end
end

-- ── Room in the pools ───────────────────────────────────────────────────────────────────────────

-- A group as far as it counts in the depth of its pool. What was kept of an ended execution comes back as a whole.
local function depthFacts(execution, no, isKept)
  local row = call('HMGET', execution.key .. ':group:' .. no, 'pool', 'length', 'queued', 'scheduled', 'blocked', 'failed',
    'skipped')
  local waiting = count(row[3]) + count(row[4]) + count(row[5])
  return {
    pool = row[1], isArray = row[2] ~= false, waits = not execution.isEnded and waiting > 0,
    kept = isKept and waiting or 0, dead = count(row[6]) + count(row[7]),
  }
end

-- `items` of the group that will wait: an array counts once.
local function addDepth(added, group, items)
  if group.isArray then
    items = (group.waits or items == 0) and 0 or 1
    group.waits = group.waits or items > 0
  end
  added[group.pool] = (added[group.pool] or 0) + items
end

local function readGroups(execution)
  local isKept = call('HEXISTS', execution.key, 'kept') == 1
  local groups = {}
  for no = 0, execution.groups - 1 do
    groups[tostring(no)] = depthFacts(execution, no, isKept)
  end
  return groups
end

-- The first pool that cannot take what comes back, and how much waits there; nil when all can. `what`: letters, limit,
-- hasMore: there are more letters than those.
function replaying.fullPool(execution, what)
  local most, groups = {}, readGroups(execution)
  for _, group in pairs(groups) do
    addDepth(most, group, group.kept + group.dead)
  end
  local pool, depth = ready.overfull(most, what.limit)
  if not pool or what.hasMore then
    return pool, depth
  end
  -- All that is dead would be too much: looked at more closely.
  local added, tasks = {}, {}
  groups = readGroups(execution)
  for _, group in pairs(groups) do
    addDepth(added, group, group.kept)
  end
  for at, letter in ipairs(what.letters) do
    tasks[at] = letter.record.task
    addDepth(added, groups[records.groupOfTask(execution, tasks[at]).no], 1)
  end
  for _, task in ipairs(revivable(execution, tasks)) do
    addDepth(added, groups[records.groupOfTask(execution, task).no], 1)
  end
  return ready.overfull(added, what.limit)
end
