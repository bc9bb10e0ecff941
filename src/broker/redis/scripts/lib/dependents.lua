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

-- Takes a blocked task out of the hashes: its input, its parents and its attempts so far; nil when it is not blocked (any
-- more).
local function unblock(execution, child)
  local content = call('HGET', execution.key .. ':blocked', child)
  if not content then
    return nil
  end
  call('HDEL', execution.key .. ':blocked', child)
  call('HDEL', execution.key .. ':waits', child)
  return cjson.decode(content)
end

local function startChild(execution, child)
  local content = unblock(execution, child)
  if content == nil then
    return
  end
  local group = records.groupOfTask(execution, child)
  local lease = { group = group, task = tonumber(child), input = content[1], parents = content[2] }
  local tries = { state = 'queued', attempt = count(content[3]), failures = 0, losses = 0 }
  tries.entry = leases.enqueueAgain(lease, tries)
  leases.noteTry(lease, tries)
  -- A delayed group falls due as a whole.
  if group.notBefore then
    books.move(group, 'blocked', 'scheduled', 1)
    return
  end
  books.move(group, 'blocked', 'queued', 1)
  journal.tasks(execution, { state = 'queued', text = child, reason = 'released' })
  ready.offer(group, 1)
end

-- The task has completed: children whose last parent it was are queued.
function dependents.release(execution, task)
  for child in childrenOf(execution, task) do
    if call('HEXISTS', execution.key .. ':waits', child) == 1
      and call('HINCRBY', execution.key .. ':waits', child, -1) <= 0 then
      startChild(execution, child)
    end
  end
end

-- The task will never complete: everything that waits for it, directly or not, is skipped.
function dependents.skip(execution, task)
  local ended = { task }
  while #ended > 0 do
    for child in childrenOf(execution, table.remove(ended)) do
      local content = unblock(execution, child)
      if content then
        local group = records.groupOfTask(execution, child)
        local lease = { group = group, task = tonumber(child), input = content[1], parents = content[2] }
        leases.keepInput(lease)
        leases.noteTry(lease, { state = 'skipped', attempt = count(content[3]), failures = 0, losses = 0, at = now })
        books.move(group, 'blocked', 'skipped', 1)
        journal.tasks(execution, { state = 'skipped', text = child })
        ended[#ended + 1] = tonumber(child)
      end
    end
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
  return (state == 'failed' or state == 'skipped') and 'dead' or 'open'
end
