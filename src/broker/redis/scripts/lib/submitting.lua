-- Task groups on their way in: read from the arguments, then written.
--
-- A group's arguments: spec (JSON, as workers get it), pool, requires (sorted, between separators),
-- retry (JSON), maxLosses, timeoutMs, delayMs, longest input (bytes), linked (0|1),
-- passes (1: what comes after its tasks starts though they failed), rescue (1: they start when the execution has failed),
-- marked (1: its tasks have ranks or labels), then
--   an array: 'array', length, chunk plan (JSON), keep|discard
--   tasks:    'tasks', count, then per task its input, in a linked group its parents (JSON numbers or ''), and in a marked one
--             its mark: rank ('' for 0) and label, with a separator between them
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

-- The argument that comes next.
function submitting.place()
  return nextArgument
end

local SHARED = { 'spec', 'pool', 'requires', 'retry', 'maxLosses', 'timeoutMs', 'delayMs', 'maxInput', 'linked',
  'passes', 'rescue', 'marked' }

local function readGroup()
  local group = {}
  for _, name in ipairs(SHARED) do
    group[name] = submitting.text()
  end
  group.isLinked, group.isMarked, group.isRescue = group.linked == '1', group.marked == '1', group.rescue == '1'
  -- Arguments of a task.
  group.step = 1 + (group.isLinked and 1 or 0) + (group.isMarked and 1 or 0)
  if submitting.text() == 'array' then
    group.length = submitting.text()
    group.chunk = submitting.text()
    group.results = submitting.text()
    group.tasks = 1
  else
    -- Tasks are left where they are and read when they are written.
    group.tasks = tonumber(submitting.text())
    group.from = nextArgument
    nextArgument = nextArgument + group.tasks * group.step
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
  return ready.overfull(added, limit)
end

-- ── Writing ─────────────────────────────────────────────────────────────────────────────────────

-- Arguments of one command.
local MOST_AT_ONCE = 2000

-- Collects fields of a hash and writes many with one command.
local function writer(key)
  local pairs_ = {}
  local function flush()
    if #pairs_ > 0 then
      call('HSET', key, unpack(pairs_))
      pairs_ = {}
    end
  end
  local function put(field, value)
    pairs_[#pairs_ + 1] = field
    pairs_[#pairs_ + 1] = value
    if #pairs_ >= MOST_AT_ONCE then
      flush()
    end
  end
  return { put = put, flush = flush }
end

local FIELDS = { 'maxLosses', 'maxInput', 'timeoutMs', 'length', 'results', 'chunk', 'retry', 'spec' }

-- Its separate tasks are handed out from one stream, in their order.
local function hasQueue(execution, definition)
  return not (definition.length or definition.isLinked or definition.isRescue or execution.isRanked)
end

local function listGroup(execution, no, first)
  if no == 1 then
    call('ZADD', execution.key .. ':groups', 0, '0')
  end
  if no >= 1 then
    call('ZADD', execution.key .. ':groups', int(first), no)
  end
end

local function writeGroup(execution, definition)
  local no = execution.groups
  local first = execution.nextTask or count(call('HGET', execution.key, 'nextTask'))
  execution.nextTask = first + definition.tasks
  -- What every transition reads comes first: lib/records.lua.
  local fields = { 'pool', definition.pool, 'requires', definition.requires, 'first', int(first), 'count',
    definition.tasks, 'specBytes', #definition.spec, 'ranked', (execution.isRanked and not definition.length) and '1' or '0',
    'passes', definition.passes, 'rescue', definition.rescue, 'linked', definition.linked, 'again', '0', 'chunks', '0',
    'cursor', '0', 'ran', '0' }
  for _, state in ipairs(records.STATES) do
    fields[#fields + 1] = state
    fields[#fields + 1] = '0'
  end
  local function add(name, value)
    fields[#fields + 1] = name
    fields[#fields + 1] = value
  end
  for _, name in ipairs(FIELDS) do
    local value = definition[name]
    if value and value ~= '' and value ~= '0' then
      add(name, value)
    end
  end
  local delayMs = count(definition.delayMs)
  local facts = { first = first, notBefore = delayMs > 0 and now + delayMs or nil, hasQueue = hasQueue(execution, definition) }
  if facts.notBefore then
    add('notBefore', int(facts.notBefore))
    call('ZADD', PREFIX .. 'due', int(facts.notBefore), 'g:' .. no .. '::' .. execution.id)
  end
  if facts.hasQueue then
    call('XGROUP', 'CREATE', execution.key .. ':queue:' .. no, definition.pool, '0', 'MKSTREAM')
    add('queue', '1')
  end
  local group = records.newGroup(execution, definition, facts)
  if execution.isNew then
    books.set(group, fields)
  else
    call('HSET', group.key, unpack(fields))
    call('HSET', execution.key, 'nextTask', int(execution.nextTask), 'groups', no + 1)
  end
  listGroup(execution, no, first)
  execution.groups = no + 1
  return group
end

-- ── Tasks ───────────────────────────────────────────────────────────────────────────────────────

-- What is written of tasks that are added in one step. `first`: the first of them.
local function startAdding(execution)
  local key = execution.key
  return {
    execution = execution, first = execution.nextTask or count(call('HGET', key, 'nextTask')),
    blocked = writer(key .. ':blocked'), waits = writer(key .. ':waits'), tries = writer(key .. ':tries'),
    inputs = writer(key .. ':inputs'), marks = writer(key .. ':marks'),
    -- Children of each parent; states of parents.
    links = {}, states = {},
  }
end

-- How a parent stands; of those that are added along, only the skipped have one.
local function stateOf(adding, parent)
  local state = adding.states[parent]
  if not state then
    state = parent >= adding.first and 'open' or dependents.parentState(adding.execution, int(parent))
    adding.states[parent] = state
  end
  return state
end

local function link(adding, parents, name)
  for _, parent in ipairs(parents) do
    local children = adding.links[parent]
    if children then
      children[#children + 1] = name
    else
      adding.links[parent] = { name }
    end
  end
end

-- Parents (JSON, nil for none) that are open, whether one is dead, and all of them, each once.
local function lookAtParents(adding, text)
  local open, isDead, parents, seen = 0, false, {}, {}
  for word in string.gmatch(text or '', '%d+') do
    local parent = tonumber(word)
    if not seen[parent] then
      seen[parent] = true
      parents[#parents + 1] = parent
      local state = stateOf(adding, parent)
      open = open + (state == 'open' and 1 or 0)
      isDead = isDead or state == 'dead'
    end
  end
  return open, isDead, parents
end

local function block(adding, lease, name, open)
  adding.blocked.put(name, cjson.encode({ lease.input, lease.parents }))
  adding.waits.put(name, open)
  return 'blocked'
end

-- A task that does not wait in its group's queue: blocked, ready, or skipped because a parent is dead already.
local function addTask(adding, lease)
  local group, name = lease.group, int(lease.task)
  if group.isRescue then
    -- It waits for the end of all the others.
    call('SADD', adding.execution.key .. ':rescue', name)
    return block(adding, lease, name, 1)
  end
  local open, isDead, parents = lookAtParents(adding, lease.parents)
  if open > 0 or isDead or adding.execution.keepsInputs then
    link(adding, parents, name)
  end
  local tries = { state = 'queued', attempt = 0, failures = 0, losses = 0 }
  if isDead then
    adding.states[lease.task] = 'dead'
    tries.state, tries.at = 'skipped', now
    leases.keepInput(lease)
    adding.tries.put(name, leases.tryText(tries))
    return 'skipped'
  elseif open > 0 then
    return block(adding, lease, name, open)
  end
  tries.entry = leases.enqueueAgain(lease, tries)
  adding.tries.put(name, leases.tryText(tries))
  return 'ready'
end

local function addTasks(adding, group, definition)
  local counts = { ready = 0, blocked = 0, skipped = 0 }
  local isQueued = hasQueue(adding.execution, definition)
  local stream = records.streamKey(group, 'q')
  for at = 0, definition.tasks - 1 do
    local place, task = definition.from + at * definition.step, group.first + at
    local lease = { group = group, task = task, input = ARGV[place], rank = '0' }
    if definition.isLinked and ARGV[place + 1] ~= '' then
      lease.parents = ARGV[place + 1]
    end
    if definition.isMarked then
      local mark = ARGV[place + definition.step - 1]
      adding.marks.put(int(task), mark)
      lease.rank = ready.rankIn(mark)
    end
    if adding.execution.keepsInputs then
      adding.inputs.put(int(task), (lease.parents or '') .. UNIT .. lease.input)
    end
    local state = 'ready'
    if isQueued then
      call('XADD', stream, int(task) .. '-1', 'input', lease.input)
    else
      state = addTask(adding, lease)
    end
    counts[state] = counts[state] + 1
  end
  return counts
end

-- Children of each parent, as one list per parent.
local function writeLinks(adding)
  local children = writer(adding.execution.key .. ':children')
  for parent, tasks in pairs(adding.links) do
    local known = parent < adding.first and call('HGET', adding.execution.key .. ':children', int(parent))
    local added = table.concat(tasks, ',')
    children.put(int(parent), known and known .. ',' .. added or added)
  end
  children.flush()
end

local function finishAdding(adding)
  for _, name in ipairs({ 'blocked', 'waits', 'tries', 'inputs', 'marks' }) do
    adding[name].flush()
  end
  writeLinks(adding)
end

-- Marks an execution by what its groups are; the fields of its hash that this sets.
function submitting.mark(execution, definitions)
  local fields = {}
  local function set(name, flag)
    if not execution[flag] then
      execution[flag] = true
      fields[#fields + 1] = name
      fields[#fields + 1] = '1'
    end
  end
  for _, definition in ipairs(definitions) do
    if definition.isLinked and not definition.isRescue then
      set('linked', 'isLinked')
    end
    if definition.isRescue then
      set('rescue', 'hasRescue')
    end
    if definition.isMarked or definition.isLinked or definition.isRescue then
      set('ranked', 'isRanked')
    end
  end
  return fields
end

function submitting.add(execution, definitions)
  local marks = execution.isNew and {} or submitting.mark(execution, definitions)
  if #marks > 0 then
    call('HSET', execution.key, unpack(marks))
  end
  local adding, pools = startAdding(execution), {}
  for _, definition in ipairs(definitions) do
    local group = writeGroup(execution, definition)
    pools[definition.pool] = true
    local counts = { ready = tonumber(definition.length), blocked = 0, skipped = 0 }
    if not group.length then
      counts = addTasks(adding, group, definition)
    end
    books.move(group, nil, group.notBefore and 'scheduled' or 'queued', counts.ready)
    books.move(group, nil, 'blocked', counts.blocked)
    books.move(group, nil, 'skipped', counts.skipped)
    if counts.ready > 0 then
      ready.offer(group, counts.ready)
    end
  end
  finishAdding(adding)
  for pool in pairs(pools) do
    call('SADD', PREFIX .. 'pools', pool)
  end
end

-- ── What rescue tasks rule out ──────────────────────────────────────────────────────────────────

-- Whether a task of these groups would come after a rescue task of the execution.
local function isAfterRescue(execution, definitions)
  local last = count(call('HGET', execution.key, 'nextTask'))
  for _, definition in ipairs(definitions) do
    for at = 0, (definition.isLinked and not definition.isRescue) and definition.tasks - 1 or -1 do
      for parent in string.gmatch(ARGV[definition.from + at * definition.step + 1], '%d+') do
        local isThere = tonumber(parent) < last
        if isThere and records.groupOfTask(execution, parent).isRescue then
          return true
        end
      end
    end
  end
  return false
end

-- Whether groups that are added cannot go with the execution's rescue tasks, or its `maxFailures` with theirs; and that, and
-- first task and count of all groups of rescue tasks that are there.
function submitting.ruledOut(execution, definitions)
  local hasRescue = false
  for _, definition in ipairs(definitions) do
    hasRescue = hasRescue or definition.isRescue
  end
  local maxFailures = hasRescue and call('HGET', execution.key, 'maxFailures')
  if not maxFailures and not (execution.hasRescue and isAfterRescue(execution, definitions)) then
    return nil
  end
  local spans = {}
  for no = 0, execution.hasRescue and execution.groups - 1 or -1 do
    local group = records.group(execution, no)
    if group.isRescue then
      spans[#spans + 1] = int(group.first)
      spans[#spans + 1] = int(group.count)
    end
  end
  return maxFailures or '', spans
end

-- Adds groups whose parents are told by their distance from the first task of all: its number, and how many tasks they are.
function submitting.append(execution, definitions)
  local first = execution.nextTask or count(call('HGET', execution.key, 'nextTask'))
  local total = 0
  for _, definition in ipairs(definitions) do
    total = total + definition.tasks
    for at = 0, definition.isLinked and definition.tasks - 1 or -1 do
      local place = definition.from + definition.step * at + 1
      ARGV[place] = string.gsub(ARGV[place], '%d+', function(parent)
        return int(first + parent)
      end)
    end
  end
  submitting.add(execution, definitions)
  return first, total
end
