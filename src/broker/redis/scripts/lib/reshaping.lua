-- What becomes of the graph of an execution when tasks go, come, or get other parents: found out, and not done.
--
-- A change: first (number of the first task that is added), gone (set of tasks that are removed), parents (per task that
-- gets others, or comes back: all its parents), ties (per task: what else it waits for, which it has added itself), places
-- (of those that get others), added (per task that is added, from `first`: its parents).
--
-- As long as every task has a higher number than its parents, the numbers are an order in which parents come before their
-- children, no cycle is possible, and only what dies or comes back is looked at. Once a task was to wait for a later one, or
-- waits for those that it has added itself, the execution is `twisted`: all that comes after the change is put in order first.

local PAGE = 1000

-- Children by parent, of parents that the change names.
local function newChildren(change)
  local children = {}
  local function add(task, parents)
    local seen = {}
    for _, parent in ipairs(parents) do
      if not seen[parent] then
        seen[parent] = true
        children[parent] = children[parent] or {}
        table.insert(children[parent], task)
      end
    end
  end
  for task, parents in pairs(change.parents) do
    add(task, parents)
    add(task, change.ties[task] or {})
  end
  for at, parents in ipairs(change.added) do
    add(change.first + at - 1, parents)
  end
  return children
end

-- Children of these tasks as they are stored (texts, or false).
local function storedChildren(execution, tasks)
  local names, found = {}, {}
  for _, task in ipairs(tasks) do
    names[#names + 1] = int(task)
  end
  if #names == 0 or not execution.isLinked then
    return found
  end
  for at, text in ipairs(call('HMGET', execution.key .. ':children', unpack(names))) do
    found[tasks[at]] = text
  end
  return found
end

-- Calls `visit` with each task that the change names.
local function eachChanged(change, visit)
  for task in pairs(change.gone) do
    visit(task)
  end
  for task in pairs(change.parents) do
    visit(task)
  end
  for at in ipairs(change.added) do
    visit(change.first + at - 1)
  end
end

-- Children of a task once the change is done; `stored`: as they are stored now.
local function childrenOf(change, extra, task, stored)
  local list, seen = extra[task] or {}, {}
  for child in string.gmatch(stored or '', '%d+') do
    child = tonumber(child)
    if not change.parents[child] and not seen[child] then
      seen[child] = true
      list[#list + 1] = child
    end
  end
  return list
end

local function childrenAfter(execution, change, extra, task)
  return childrenOf(change, extra, task, storedChildren(execution, { task })[task])
end

-- All that comes after what the change names, itself included: children by task.
local function spread(execution, change)
  local extra, children, open = newChildren(change), {}, {}
  local function visit(task)
    if children[task] == nil then
      children[task] = false
      open[#open + 1] = task
    end
  end
  eachChanged(change, visit)
  local at = 1
  while at <= #open do
    local page = { unpack(open, at, math.min(#open, at + PAGE - 1)) }
    at = at + #page
    local stored = storedChildren(execution, page)
    for _, task in ipairs(page) do
      children[task] = childrenOf(change, extra, task, stored[task])
      for _, child in ipairs(children[task]) do
        visit(child)
      end
    end
  end
  return children
end

-- The tasks, parents before children; nil when some of them would wait for each other.
local function inOrder(children)
  local waits, free, order = {}, {}, {}
  for _, list in pairs(children) do
    for _, child in ipairs(list) do
      waits[child] = (waits[child] or 0) + 1
    end
  end
  local total = 0
  for task in pairs(children) do
    total = total + 1
    if not waits[task] then
      free[#free + 1] = task
    end
  end
  table.sort(free)
  while #order < #free do
    local task = free[#order + 1]
    order[#order + 1] = task
    for _, child in ipairs(children[task]) do
      waits[child] = waits[child] - 1
      if waits[child] == 0 then
        free[#free + 1] = child
      end
    end
  end
  return #order == total and order or nil
end

-- The shortest way from a task to itself, as numbers, each of which waits for the next, and the last for the first.
local function cycleThrough(children, task)
  local parents, seen, open, at = {}, { [task] = true }, { task }, 1
  while at <= #open do
    for _, child in ipairs(children[open[at]] or {}) do
      if child == task then
        local path, one = { task }, open[at]
        while one and one ~= task do
          path[#path + 1] = one
          one = parents[one]
        end
        return path
      elseif not seen[child] then
        seen[child] = true
        parents[child] = open[at]
        open[#open + 1] = child
      end
    end
    at = at + 1
  end
end

-- The first of the tasks that get other parents which would wait for itself, and the way.
local function findCycle(children, change)
  local tasks = {}
  for task in pairs(change.parents) do
    tasks[#tasks + 1] = task
  end
  table.sort(tasks)
  for _, task in ipairs(tasks) do
    local path = cycleThrough(children, task)
    if path then
      return path
    end
  end
end

-- ── Fates ───────────────────────────────────────────────────────────────────────────────────────

-- Whether a skipped task was removed, or skipped itself, by its try.
function reshaping.isForGood(try)
  local as = string.match(try, '"as":"(%a+)"')
  return as == 'removed' or as == 'skipped'
end

-- Whether the task was skipped because of a parent.
local function wasSkipped(execution, task)
  local known = call('HGET', execution.key .. ':tries', int(task)) or ''
  return string.match(known, '"state":"(%a+)"') == 'skipped' and not reshaping.isForGood(known)
end

local function isBlocked(execution, task)
  return call('HEXISTS', execution.key .. ':waits', int(task)) == 1
end

local function storedParents(execution, task)
  local input, parents = replaying.inputOf(execution, task)
  return input and (parents and cjson.decode(parents) or {}) or nil
end

-- Those of the parents that are dead, as far as `tries` tells; arrays are looked at when they are asked for.
local function readDead(execution, change)
  local known, tasks = {}, {}
  local function add(parents)
    for _, parent in ipairs(parents or {}) do
      if parent < change.first and known[parent] == nil then
        known[parent] = false
        tasks[#tasks + 1] = parent
      end
    end
  end
  for _, parents in ipairs(change.added) do
    add(parents)
  end
  for _, parents in pairs(change.parents) do
    add(parents)
  end
  for no = 0, #tasks > 0 and execution.groups - 1 or -1 do
    local group = records.group(execution, no)
    if group.length and known[group.first] == false then
      known[group.first] = nil
    end
  end
  for from = 1, #tasks, PAGE do
    local page = { unpack(tasks, from, math.min(#tasks, from + PAGE - 1)) }
    for at, try in ipairs(call('HMGET', execution.key .. ':tries', unpack(page))) do
      local state = try and string.match(try, '"state":"(%a+)"')
      if state == 'failed' or state == 'skipped' then
        known[page[at]] = nil
      end
    end
  end
  return known
end

-- Fates of tasks that are asked for after those of their parents: dead, or alive although they had been skipped.
local function newJudge(execution, change)
  local known = readDead(execution, change)
  local judge = { dead = {}, alive = {}, skipped = {}, restored = {}, stillborn = {} }
  local dead, alive, doomed, hopeful = judge.dead, judge.alive, {}, {}
  local function isDead(parent)
    if dead[parent] or alive[parent] then
      return dead[parent] == true
    elseif parent >= change.first then
      return false
    elseif known[parent] == nil then
      known[parent] = dependents.parentState(execution, int(parent)) == 'dead'
    end
    return known[parent]
  end
  local function anyDead(parents)
    for _, parent in ipairs(parents or {}) do
      if isDead(parent) then
        return true
      end
    end
    return false
  end
  local function judgeMoved(task)
    local place = change.places[task]
    if anyDead(change.parents[task]) or anyDead(change.ties[task]) then
      dead[task] = true
      if place.state ~= 'skipped' then
        table.insert(judge.skipped, task)
      end
    elseif place.state == 'skipped' then
      alive[task] = true
      table.insert(judge.restored, task)
    end
  end
  local function judgeOther(task)
    if doomed[task] and isBlocked(execution, task) then
      dead[task] = true
      table.insert(judge.skipped, task)
    elseif hopeful[task] and wasSkipped(execution, task) then
      local parents = storedParents(execution, task)
      if parents and not anyDead(parents) then
        alive[task] = true
        table.insert(judge.restored, task)
      end
    end
  end
  -- Whether something has become of it.
  function judge.look(task)
    if change.gone[task] then
      -- What it let go when it failed, before it was tried once more, is not held up by its end.
      dead[task] = dependents.parentState(execution, int(task)) ~= 'completed' or nil
    elseif task >= change.first then
      dead[task] = anyDead(change.added[task - change.first + 1]) or nil
      judge.stillborn[task - change.first + 1] = dead[task] or false
    elseif change.parents[task] then
      judgeMoved(task)
    else
      judgeOther(task)
    end
    return dead[task] or alive[task]
  end
  -- The task is a child of one of which something has become.
  function judge.warn(child, parent)
    doomed[child] = doomed[child] or dead[parent]
    hopeful[child] = hopeful[child] or alive[parent]
  end
  return judge
end

-- ── In the order of numbers ─────────────────────────────────────────────────────────────────────

local function push(heap, task)
  local at = #heap + 1
  while at > 1 and heap[math.floor(at / 2)] > task do
    heap[at] = heap[math.floor(at / 2)]
    at = math.floor(at / 2)
  end
  heap[at] = task
end

local function pop(heap)
  local first, last = heap[1], table.remove(heap)
  local at, size = 1, #heap
  while 2 * at <= size do
    local child = 2 * at
    if child < size and heap[child + 1] < heap[child] then
      child = child + 1
    end
    if heap[child] >= last then
      break
    end
    heap[at] = heap[child]
    at = child
  end
  if size > 0 then
    heap[at] = last
  end
  return first
end

local function judgeByNumber(execution, change)
  local judge, extra, heap, seen = newJudge(execution, change), newChildren(change), {}, {}
  local function visit(task)
    if not seen[task] then
      seen[task] = true
      push(heap, task)
    end
  end
  eachChanged(change, visit)
  while #heap > 0 do
    local task = pop(heap)
    for _, child in ipairs(judge.look(task) and childrenAfter(execution, change, extra, task) or {}) do
      judge.warn(child, task)
      visit(child)
    end
  end
  return judge
end

local function judgeInOrder(execution, change)
  local children = spread(execution, change)
  local order = inOrder(children)
  if not order then
    return nil, findCycle(children, change)
  end
  local judge = newJudge(execution, change)
  for _, task in ipairs(order) do
    for _, child in ipairs(judge.look(task) and children[task] or {}) do
      judge.warn(child, task)
    end
  end
  return judge
end

-- ── Where nothing comes back ────────────────────────────────────────────────────────────────────

-- Those of the tasks that are blocked.
local function blockedAmong(execution, tasks)
  local found = {}
  for from = 1, #tasks, PAGE do
    local page = { unpack(tasks, from, math.min(#tasks, from + PAGE - 1)) }
    for at, waits in ipairs(call('HMGET', execution.key .. ':waits', unpack(page))) do
      found[#found + 1] = waits and page[at] or nil
    end
  end
  return found
end

-- Children of the tasks that nothing has become of so far: those that get other parents, and all others.
local function survivors(execution, change, judge, tasks)
  local extra, moved, others, seen = judge.extra, {}, {}, {}
  local function add(list, child)
    if not judge.dead[child] and not seen[child] and child < change.first then
      seen[child] = true
      list[#list + 1] = child
    end
  end
  for from = 1, #tasks, PAGE do
    local page = { unpack(tasks, from, math.min(#tasks, from + PAGE - 1)) }
    local stored = storedChildren(execution, page)
    for _, task in ipairs(page) do
      for _, child in ipairs(extra[task] or {}) do
        add(moved, child)
      end
      for child in string.gmatch(stored[task] or '', '%d+') do
        child = tonumber(child)
        if not change.parents[child] then
          add(others, child)
        end
      end
    end
  end
  return moved, others
end

-- Then what dies takes along whatever waits for it, in whatever order.
local function judgeDeaths(execution, change)
  local judge, open = newJudge(execution, change), {}
  judge.extra = newChildren(change)
  local function bury(tasks)
    for _, task in ipairs(tasks) do
      judge.dead[task] = true
      judge.skipped[#judge.skipped + 1] = task
      open[#open + 1] = task
    end
  end
  for task in pairs(change.gone) do
    judge.dead[task] = true
    open[#open + 1] = task
  end
  for task in pairs(change.parents) do
    open[#open + 1] = (not judge.dead[task] and judge.look(task)) and task or nil
  end
  while #open > 0 do
    local ended = open
    open = {}
    local moved, others = survivors(execution, change, judge, ended)
    bury(moved)
    bury(blockedAmong(execution, others))
  end
  for at in ipairs(change.added) do
    judge.look(change.first + at - 1)
  end
  return judge
end

local function bringsBack(change)
  for task in pairs(change.parents) do
    if change.places[task].state == 'skipped' then
      return true
    end
  end
  return false
end

-- Whether some task is to wait for a later one.
function reshaping.twists(change)
  for task, parents in pairs(change.parents) do
    for _, parent in ipairs(parents) do
      if parent >= task then
        return true
      end
    end
  end
  return false
end

-- What the change does: skipped (tasks that had not ended, but for those removed), restored (tasks that had been skipped),
-- both ascending, stillborn (of each added one whether it is skipped at once). Or nil, and a cycle: tasks each of which would
-- wait for the next.
function reshaping.foresee(execution, change)
  local isTwisted = reshaping.twists(change) or execution.suspends or call('HEXISTS', execution.key, 'twisted') == 1
  local judgeAll = isTwisted and judgeInOrder or (bringsBack(change) and judgeByNumber) or judgeDeaths
  local judge, cycle = judgeAll(execution, change)
  if not judge then
    return nil, cycle
  end
  table.sort(judge.skipped)
  table.sort(judge.restored)
  return judge
end

-- ── Links ───────────────────────────────────────────────────────────────────────────────────────

-- The task waits for `parent` no longer.
function reshaping.unlink(execution, parent, task)
  local key, known = execution.key .. ':children', call('HGET', execution.key .. ':children', int(parent))
  local name, left = int(task), {}
  for child in string.gmatch(known or '', '%d+') do
    if child ~= name then
      left[#left + 1] = child
    end
  end
  if #left > 0 then
    call('HSET', key, int(parent), table.concat(left, ','))
  elseif known then
    call('HDEL', key, int(parent))
  end
end

function reshaping.link(execution, parent, task)
  local key = execution.key .. ':children'
  local known = call('HGET', key, int(parent))
  call('HSET', key, int(parent), known and known .. ',' .. int(task) or int(task))
end
