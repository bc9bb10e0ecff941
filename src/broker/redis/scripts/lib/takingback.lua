-- What takes the last edit of an execution back: once, and only as long as it is the last.
--
-- `undo` holds it: under `edit` (JSON) priority (the one before), first and added (tasks that were added), removed, held,
-- unheld (tasks), rewired ({ task, former parents } …) and ranked ({ task, former rank } …); under the numbers of removed
-- tasks their contents (lib/moving.lua).

local function keyOf(execution)
  return execution.key .. ':undo'
end

local PAGE = 500

-- To be called before the edit is done.
function takingback.remember(execution, plan)
  local key = keyOf(execution)
  call('UNLINK', key)
  if plan.edit.isUndo then
    return
  end
  local back = { priority = plan.priority and execution.priority, first = plan.first, added = plan.added, removed = {},
    rewired = {}, ranked = {}, held = plan.held, unheld = plan.unheld }
  local contents = {}
  for _, place in ipairs(plan.removed) do
    back.removed[#back.removed + 1] = not place.isImplied and place.task or nil
    contents[#contents + 1] = place.name
    local content = moving.content(place)
    content.isRescue = (place.group.isRescue and call('SISMEMBER', execution.key .. ':rescue', place.name) == 1) or nil
    contents[#contents + 1] = cjson.encode(content)
  end
  for _, place in ipairs(plan.moved) do
    table.insert(back.rewired, { place.task, place.former })
  end
  for at, one in ipairs(plan.ranked) do
    back.ranked[at] = { one.place.task, one.before }
  end
  call('HSET', key, 'edit', cjson.encode(back))
  for from = 1, #contents, 2 * PAGE do
    call('HSET', key, unpack(contents, from, math.min(#contents, from + 2 * PAGE - 1)))
  end
end

local OPEN = { blocked = true, scheduled = true, queued = true, running = true }

-- Tasks that were added: those that have not ended, and those that were skipped; nil when one has ended otherwise.
local function findAdded(execution, back)
  local tasks, open, skipped, isLate = {}, {}, {}, false
  for task = back.first, back.first + back.added - 1 do
    tasks[#tasks + 1] = task
  end
  undoing.each(execution, tasks, function(place)
    if OPEN[place.state] then
      open[#open + 1] = place.task
    elseif place.state == 'skipped' and not string.find(place.try, '"as":"skipped"', 1, true) then
      skipped[#skipped + 1] = place.task
    else
      isLate = true
    end
  end)
  return not isLate and open or nil, skipped
end

-- Whether each of the rewired tasks may get its former parents.
local function mayRewire(execution, rewired)
  local tasks, isLate = {}, false
  for at, pair in ipairs(rewired) do
    tasks[at] = pair[1]
  end
  table.sort(tasks)
  undoing.each(execution, tasks, function(place)
    local isWaiting = OPEN[place.state] or (place.state == 'skipped' and not reshaping.isForGood(place.try))
    isLate = isLate or not isWaiting
  end)
  return not isLate
end

local function readRemoved(execution, removed)
  local restore, key = {}, keyOf(execution)
  for at, task in ipairs(removed) do
    restore[at] = { task, cjson.decode(call('HGET', key, int(task))) }
  end
  return restore
end

-- The edit that takes the last one back (lib/editing.lua); or nil, and the refusal.
function takingback.edit(execution)
  local text = call('HGET', keyOf(execution), 'edit')
  if not text then
    return nil, { 'NO_UNDO' }
  end
  local back = cjson.decode(text)
  local open, skipped = findAdded(execution, back)
  if not open or not mayRewire(execution, back.rewired) then
    return nil, { 'EDIT_CONFLICT' }
  end
  return {
    isUndo = true, priority = back.priority or nil, remove = open, bury = skipped, rewire = back.rewired, rank = back.ranked,
    hold = back.unheld, unhold = back.held, restore = readRemoved(execution, back.removed), groups = {},
  }
end
