-- Task groups on their way in: read from the arguments, then written.
--
-- A group's arguments: spec (JSON, as workers get it), pool, requires (sorted, between separators),
-- retry (JSON), maxLosses, timeoutMs, delayMs, longest input (bytes), linked (0|1), then
--   an array: 'array', length, chunk plan (JSON), keep|discard
--   tasks:    'tasks', count, then per task its input, and in a linked group its parents (JSON numbers or '')
-- '' where there is none.

local nextArgument = 1

function submitting.start(at)
  nextArgument = at
end

function submitting.text()
  local value = ARGV[nextArgument]
  nextArgument = nextArgument + 1
  return value
end

local SHARED = { 'spec', 'pool', 'requires', 'retry', 'maxLosses', 'timeoutMs', 'delayMs', 'maxInput', 'linked' }

local function readGroup()
  local group = {}
  for _, name in ipairs(SHARED) do
    group[name] = submitting.text()
  end
  group.isLinked = group.linked == '1'
  if submitting.text() == 'array' then
    group.length = submitting.text()
    group.chunk = submitting.text()
    group.results = submitting.text()
    group.tasks = 1
  else
    -- Tasks are left where they are and read when they are written.
    group.tasks = tonumber(submitting.text())
    group.from = nextArgument
    nextArgument = nextArgument + group.tasks * (group.isLinked and 2 or 1)
  end
  return group
end

function submitting.groups(total)
  local groups = {}
  for at = 1, total do
    groups[at] = readGroup()
  end
  return groups
end

-- The first pool that cannot take what is added, and how much waits there; nil when all can.
function submitting.fullPool(submissions, limit)
  local added = {}
  for _, submission in ipairs(submissions) do
    for _, group in ipairs(submission.groups) do
      added[group.pool] = (added[group.pool] or 0) + group.tasks
    end
  end
  for pool, tasks in pairs(added) do
    local depth = count(call('HGET', ready.poolKey(pool), 'depth'))
    if depth + tasks > limit then
      return pool, depth
    end
  end
end

-- ── Writing ─────────────────────────────────────────────────────────────────────────────────────

local function writeGroup(execution, definition)
  local no = execution.groups
  local first = execution.nextTask or count(call('HGET', execution.key, 'nextTask'))
  execution.nextTask = first + definition.tasks
  local fields = { 'pool', definition.pool, 'requires', definition.requires, 'first', int(first), 'count',
    definition.tasks, 'specBytes', #definition.spec }
  for _, name in ipairs({ 'spec', 'retry', 'maxLosses', 'timeoutMs', 'maxInput', 'length', 'chunk',
    'results', 'linked' }) do
    local value = definition[name]
    if value and value ~= '' and value ~= '0' then
      fields[#fields + 1] = name
      fields[#fields + 1] = value
    end
  end
  local delayMs = count(definition.delayMs)
  if delayMs > 0 then
    fields[#fields + 1] = 'notBefore'
    fields[#fields + 1] = int(now + delayMs)
    call('ZADD', PREFIX .. 'due', int(now + delayMs), 'g:' .. no .. '::' .. execution.id)
  end
  if not definition.length and not definition.isLinked then
    call('XGROUP', 'CREATE', execution.key .. ':queue:' .. no, definition.pool, '0', 'MKSTREAM')
    fields[#fields + 1] = 'queue'
    fields[#fields + 1] = '1'
  end
  call('HSET', execution.key .. ':group:' .. no, unpack(fields))
  if not execution.isNew then
    call('HSET', execution.key, 'nextTask', int(execution.nextTask), 'groups', no + 1)
  end
  if no == 1 then
    call('ZADD', execution.key .. ':groups', 0, '0')
  end
  if no >= 1 then
    call('ZADD', execution.key .. ':groups', int(first), no)
  end
  call('SADD', PREFIX .. 'pools', definition.pool)
  execution.groups = no + 1
  return records.group(execution, no)
end

-- A task with parents: blocked, ready, or skipped because a parent is dead already.
local function addLinked(group, task, content, links)
  local input, parents = content[1], content[2] ~= '' and content[2] or nil
  local execution = group.execution
  local open, isSkipped, seen = 0, false, {}
  for _, parent in ipairs(parents and cjson.decode(parents) or {}) do
    if not seen[parent] then
      seen[parent] = true
      local state = dependents.parentState(execution, parent)
      open = open + (state == 'open' and 1 or 0)
      isSkipped = isSkipped or state == 'dead'
    end
  end
  local lease = { group = group, task = task, input = input, parents = parents }
  if open > 0 or isSkipped or execution.keepsInputs then
    for parent in pairs(seen) do
      links[parent] = links[parent] or {}
      table.insert(links[parent], int(task))
    end
  end
  local tries = { state = 'queued', attempt = 0, failures = 0, losses = 0 }
  if isSkipped then
    tries.state = 'skipped'
    tries.at = now
    leases.keepInput(lease)
    leases.noteTry(lease, tries)
    return 'skipped'
  end
  if open == 0 then
    tries.entry = leases.enqueueAgain(lease, tries)
    leases.noteTry(lease, tries)
    return 'ready'
  end
  call('HSET', execution.key .. ':blocked', int(task), cjson.encode({ input, parents }))
  call('HSET', execution.key .. ':waits', int(task), open)
  return 'blocked'
end

-- Children of each parent, as one list per parent.
local function writeLinks(execution, links)
  for parent, tasks in pairs(links) do
    local known = call('HGET', execution.key .. ':children', parent)
    local added = table.concat(tasks, ',')
    call('HSET', execution.key .. ':children', parent, known and known .. ',' .. added or added)
  end
end

-- Inputs and parents of all tasks, where they are wanted again.
local function keepInputs(group, definition)
  local step = definition.isLinked and 2 or 1
  for at = 0, definition.tasks - 1 do
    local place = definition.from + at * step
    local parents = definition.isLinked and ARGV[place + 1] or ''
    call('HSET', group.execution.key .. ':inputs', int(group.first + at), parents .. UNIT .. ARGV[place])
  end
end

local function addTasks(group, definition)
  if group.execution.keepsInputs then
    keepInputs(group, definition)
  end
  local counts = { ready = 0, blocked = 0, skipped = 0 }
  local stream = records.streamKey(group, 'q')
  if not definition.isLinked then
    for at = 0, definition.tasks - 1 do
      call('XADD', stream, group.first + at .. '-1', 'input', ARGV[definition.from + at])
    end
    counts.ready = definition.tasks
  else
    local links = {}
    for at = 0, definition.tasks - 1 do
      local content = { ARGV[definition.from + 2 * at], ARGV[definition.from + 2 * at + 1] }
      local state = addLinked(group, group.first + at, content, links)
      counts[state] = counts[state] + 1
    end
    writeLinks(group.execution, links)
  end
  return counts
end

function submitting.add(execution, definitions)
  for _, definition in ipairs(definitions) do
    if definition.isLinked and not execution.isLinked then
      execution.isLinked = true
      call('HSET', execution.key, 'linked', '1')
    end
    local group = writeGroup(execution, definition)
    local counts = { ready = tonumber(definition.length), blocked = 0, skipped = 0 }
    if not group.length then
      counts = addTasks(group, definition)
    end
    books.move(group, nil, group.notBefore and 'scheduled' or 'queued', counts.ready)
    books.move(group, nil, 'blocked', counts.blocked)
    books.move(group, nil, 'skipped', counts.skipped)
    if counts.ready > 0 then
      ready.offer(group, counts.ready)
    end
  end
end
