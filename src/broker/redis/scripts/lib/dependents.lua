-- What a task's end means for the tasks that wait for it (promise 2), in the same step as the end itself.
--
-- Blocked tasks stand in three hashes of their execution: `blocked` (their input and parents), `waits`
-- (parents that have not completed), and `children` of each parent.

function dependents.childrenOf(execution, task)
  if not execution.isLinked then
    return function() end
  end
  local children = call('HGET', execution.key .. ':children', int(task))
  return children and string.gmatch(children, '%d+') or function() end
end

local childrenOf = dependents.childrenOf

-- What stands in `blocked` of a task: input, parents (JSON, nil for none), attempts, failures and losses so far.
local function readContent(text)
  local content = cjson.decode(text)
  if type(content[2]) ~= 'string' then
    content[2] = nil
  end
  return content
end

-- Takes a blocked task out of the hashes: its input, its parents and its attempts so far; nil when it is not blocked (any
-- more).
local function unblock(execution, child)
  local content = call('HGET', execution.key .. ':blocked', child)
  if not content then
    return nil
  end
  call('HDEL', execution.key .. ':blocked', child)
  call('HDEL', execution.key .. ':waits', child)
  return readContent(content)
end

local function startChild(execution, child, reason)
  local content = unblock(execution, child)
  if content == nil then
    return
  end
  local group = records.groupOfTask(execution, child)
  local lease = { group = group, task = tonumber(child), input = content[1], parents = content[2] }
  local tries = { state = 'queued', attempt = count(content[3]), failures = count(content[4]), losses = count(content[5]) }
  -- What was moved by hand, or has come back, has a time of its own (lib/moving.lua).
  if content[6] and suspending.hasCome(execution, child) then
    content[6] = false
  end
  local notBefore = content[6] ~= nil and math.max(content[6] or 0, group.notBefore or 0) or 0
  if notBefore > now or (content[6] ~= nil and group.notBefore) then
    lease.failures = tries.failures
    tries.notBefore, tries.from, tries.reason, tries.failure = notBefore, 'blocked', reason, leases.lastFailure(lease)
    leases.scheduleTask(lease, tries)
    return
  end
  tries.entry = leases.enqueueAgain(lease, tries)
  if execution.suspends then
    suspending.wake(execution, child, 'tasks')
  end
  if execution.suspends or content[6] ~= nil then
    -- The outcome by which it came here may be told again.
    leases.renote(lease, tries)
  else
    leases.noteTry(lease, tries)
  end
  -- A delayed group falls due as a whole.
  if group.notBefore then
    books.move(group, 'blocked', 'scheduled', 1)
    return
  end
  books.move(group, 'blocked', 'queued', 1)
  journal.tasks(execution, { state = 'queued', text = child, reason = reason or 'released' })
  ready.offer(group, 1)
end

-- So many of the things that a task waits for have come: whether they were the last ones.
local function arrivals(execution, child, times)
  local left = call('HINCRBY', execution.key .. ':waits', child, -times)
  if left < 0 then
    -- It does not wait (any more).
    call('HDEL', execution.key .. ':waits', child)
  end
  return left == 0
end

-- One of the things that a blocked task waits for has come, which is told as `reason`: whether it was the last one.
function dependents.arrived(execution, child, reason)
  if arrivals(execution, child, 1) then
    startChild(execution, child, reason)
    return true
  end
  return false
end

-- A page of blocked tasks that wait for nothing any more and need nothing but to be queued; `contents`: what stands in
-- `blocked` of them.
local function queueTasks(execution, tasks, contents)
  local marks = execution.isRanked and call('HMGET', execution.key .. ':marks', unpack(tasks)) or {}
  local pairs_, moved = {}, {}
  call('HDEL', execution.key .. ':blocked', unpack(tasks))
  call('HDEL', execution.key .. ':waits', unpack(tasks))
  for at, task in ipairs(tasks) do
    local group, content = records.groupOfTask(execution, task), contents[at]
    local lease = { group = group, task = tonumber(task), input = content[1], parents = content[2] }
    lease.rank = ready.rankIn(marks[at])
    local tries = { state = 'queued', attempt = count(content[3]), failures = count(content[4]), losses = count(content[5]) }
    tries.entry = leases.enqueueAgain(lease, tries)
    pairs_[2 * at - 1], pairs_[2 * at] = task, leases.tryText(tries)
    moved[group] = (moved[group] or 0) + 1
  end
  call('HSET', execution.key .. ':tries', unpack(pairs_))
  journal.tasks(execution, { state = 'queued', text = table.concat(tasks, ','), items = #tasks, reason = 'released' })
  for group, items in pairs(moved) do
    books.move(group, 'blocked', 'queued', items)
    ready.offer(group, items)
  end
end

local START_PAGE = 500

-- Blocked tasks wait for nothing any more.
local function startAll(execution, children)
  for from = 1, #children, START_PAGE do
    local page = { unpack(children, from, math.min(#children, from + START_PAGE - 1)) }
    local tasks, contents = {}, {}
    for at, text in ipairs(call('HMGET', execution.key .. ':blocked', unpack(page))) do
      local content = text and readContent(text)
      if content and (execution.suspends or content[6] ~= nil or records.groupOfTask(execution, page[at]).notBefore) then
        startChild(execution, page[at], 'released')
      elseif content then
        tasks[#tasks + 1], contents[#contents + 1] = page[at], content
      end
    end
    if #tasks > 0 then
      queueTasks(execution, tasks, contents)
    end
  end
end

-- The tasks, by name, have completed: children whose last parents they were are queued.
function dependents.releaseAll(execution, tasks)
  if #tasks == 0 then
    return
  end
  local times, children, ready_ = {}, {}, {}
  local found = call('HMGET', execution.key .. ':children', unpack(tasks))
  for _, list in ipairs(found) do
    for child in string.gmatch(list or '', '%d+') do
      if not times[child] then
        children[#children + 1] = child
      end
      times[child] = (times[child] or 0) + 1
    end
  end
  for _, child in ipairs(children) do
    if arrivals(execution, child, times[child]) then
      ready_[#ready_ + 1] = child
    end
  end
  startAll(execution, ready_)
end

function dependents.release(execution, task)
  if execution.isLinked then
    dependents.releaseAll(execution, { int(task) })
  end
end

-- ── Skipping ────────────────────────────────────────────────────────────────────────────────────

-- Arguments of one command, and tasks of one event.
local SKIP_PAGE = 1000

-- Calls `visit` with pages of a list.
local function eachPage(list, visit)
  for from = 1, #list, SKIP_PAGE do
    visit({ unpack(list, from, math.min(#list, from + SKIP_PAGE - 1)) })
  end
end

-- Children of the tasks, each once.
local function childrenOfAll(execution, tasks)
  local found, seen = {}, {}
  eachPage(tasks, function(page)
    for _, children in ipairs(call('HMGET', execution.key .. ':children', unpack(page))) do
      for child in string.gmatch(children or '', '%d+') do
        if not seen[child] then
          seen[child] = true
          found[#found + 1] = child
        end
      end
    end
  end)
  return found
end

-- Blocked tasks are skipped; `contents`: what stands in `blocked` of them.
local function skipTasks(execution, tasks, contents)
  local inputs, tries, moved = {}, {}, {}
  for at, task in ipairs(tasks) do
    local content, group = readContent(contents[at]), records.groupOfTask(execution, task)
    inputs[#inputs + 1] = task
    inputs[#inputs + 1] = (content[2] or '') .. UNIT .. content[1]
    local record = { state = 'skipped', attempt = count(content[3]), failures = count(content[4]), losses = count(content[5]), at = now }
    if execution.suspends or content[6] ~= nil then
      -- The outcome by which it came here may be told again.
      suspending.leave(execution, tonumber(task))
      leases.renote({ group = group, task = tonumber(task) }, record)
    else
      tries[#tries + 1] = task
      tries[#tries + 1] = leases.tryText(record)
    end
    moved[group] = (moved[group] or 0) + 1
  end
  call('HDEL', execution.key .. ':blocked', unpack(tasks))
  call('HDEL', execution.key .. ':waits', unpack(tasks))
  if not execution.keepsInputs then
    call('HSET', execution.key .. ':inputs', unpack(inputs))
  end
  if #tries > 0 then
    call('HSET', execution.key .. ':tries', unpack(tries))
  end
  for group, items in pairs(moved) do
    books.move(group, 'blocked', 'skipped', items)
  end
  journal.tasks(execution, { state = 'skipped', text = table.concat(tasks, ','), items = #tasks })
end

-- Those of the tasks that are blocked are skipped; returns them.
local function skipBlocked(execution, tasks)
  local skipped = {}
  eachPage(tasks, function(page)
    local blocked, contents = {}, {}
    for at, content in ipairs(call('HMGET', execution.key .. ':blocked', unpack(page))) do
      if content then
        blocked[#blocked + 1] = page[at]
        contents[#contents + 1] = content
        skipped[#skipped + 1] = page[at]
      end
    end
    if #blocked > 0 then
      skipTasks(execution, blocked, contents)
    end
  end)
  return skipped
end

-- The task will never complete: everything that waits for it, directly or not, is skipped.
function dependents.skip(execution, task)
  local ended = execution.isLinked and { int(task) } or {}
  while #ended > 0 do
    ended = skipBlocked(execution, childrenOfAll(execution, ended))
  end
end

-- The task was removed: the same, unless what waits for it was let go before.
function dependents.skipAfter(execution, task)
  if dependents.parentState(execution, int(task)) == 'dead' then
    dependents.skip(execution, task)
  end
end

-- ── Rescue ──────────────────────────────────────────────────────────────────────────────────────

-- Nothing else of the execution is left: its rescue tasks start if it has failed, and are skipped if not.
function dependents.rescue(execution, hasFailed)
  local key = execution.key .. ':rescue'
  local tasks = call('SMEMBERS', key)
  table.sort(tasks, function(one, other)
    return tonumber(one) < tonumber(other)
  end)
  call('UNLINK', key)
  if not hasFailed then
    skipBlocked(execution, tasks)
    return
  end
  for _, task in ipairs(tasks) do
    dependents.arrived(execution, task, 'released')
  end
end

-- Makes a blocked task ready whose parents have all completed, whatever `waits` says.
dependents.start = startChild

-- How a parent stands: 'open', 'completed' or 'dead'.
function dependents.parentState(execution, parent)
  local group = records.groupOfTask(execution, parent)
  if group.length then
    books.flush()
    local row = call('HMGET', group.key, 'queued', 'running', 'scheduled', 'failed')
    if count(row[1]) + count(row[2]) + count(row[3]) > 0 then
      return 'open'
    end
    return count(row[4]) == 0 and 'completed' or 'dead'
  end
  if call('HEXISTS', execution.key .. ':results', parent) == 1 then
    return 'completed'
  end
  local known = call('HGET', execution.key .. ':tries', parent)
  local state = known and string.match(known, '"state":"(%a+)"')
  if known and string.find(known, '"passes":true', 1, true) then
    return 'completed'
  end
  return (state == 'failed' or state == 'skipped') and 'dead' or 'open'
end
