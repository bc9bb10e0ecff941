-- An edit is done as it was planned (lib/editing.lua).
--
-- A removed task is `skipped`, and its try says `"as":"removed"`, so that nothing but an undo brings it back. Tasks that get
-- other parents leave their places first and find the new ones last, when all that they may wait for is there.

-- ── Priority, removal ───────────────────────────────────────────────────────────────────────────

-- What is ready stands in line anew, at the end of those as urgent.
local function setPriority(execution, priority)
  if priority == execution.priority then
    return
  end
  for no = 0, execution.groups - 1 do
    ready.withdraw(records.group(execution, no))
  end
  execution.priority = priority
  call('HSET', execution.key, 'priority', priority)
  for no = 0, execution.groups - 1 do
    local group = records.group(execution, no)
    if count(call('HGET', group.key, 'queued')) > 0 then
      ready.offerAll(group, 0)
    end
  end
end

-- Nothing brings a skipped task back.
local function bury(execution, tasks)
  undoing.each(execution, tasks, function(place)
    leases.renote({ group = place.group, task = place.task }, { as = 'removed' })
  end)
end

-- ── Other parents ───────────────────────────────────────────────────────────────────────────────

-- Inputs that are kept name the parents too.
local function keepParents(place)
  if place.execution.keepsInputs then
    call('HSET', place.execution.key .. ':inputs', place.name, (place.content.parents or '') .. UNIT .. place.content.input)
  end
end

local function leave(place)
  if place.content.isRescue then
    call('SADD', place.execution.key .. ':rescue', place.name)
  end
  if place.state ~= 'skipped' then
    undoing.giveUp(place)
  end
  if place.former and not place.group.isRescue then
    suspending.forget(place.execution, place.task)
    for _, parent in ipairs(place.former) do
      reshaping.unlink(place.execution, parent, place.task)
    end
  end
  keepParents(place)
end

-- To those that come after it the task is neither dead nor done, until it has found its place.
local function noteOpen(place)
  leases.noteTry({ group = place.group, task = place.task }, {
    state = 'blocked', attempt = place.content.attempt, failures = place.content.failures, losses = place.content.losses,
  })
end

-- What a task had suspended itself for may have come while it was removed.
local function hearSignal(place)
  local suspension, content = suspending.of(place.execution, place.task), place.content
  local isOver = content.notBefore and content.notBefore <= now
  if suspending.awaits(suspension) and not isOver
    and call('HEXISTS', place.execution.key .. ':signals', suspension.signal) == 1 then
    suspending.wake(place.execution, place.task, 'signal')
    content.notBefore = nil
  end
end

local function arrive(place, reason)
  local execution = place.execution
  if place.former and not place.group.isRescue then
    for _, parent in ipairs(place.parents) do
      reshaping.link(execution, parent, place.task)
      if parent > place.task then
        call('HSET', execution.key, 'twisted', '1')
      end
    end
  end
  local open
  if place.group.isRescue then
    open = call('SISMEMBER', execution.key .. ':rescue', place.name)
  else
    hearSignal(place)
    open = replaying.openParents(execution, place.content.parents, place.task)
  end
  if open > 0 then
    moving.block(place, place.content, open, reason)
  else
    moving.start(place, place.content, reason)
  end
end

-- Tasks that come back because of those that get other parents.
local function findOthers(execution, plan)
  local tasks, found = {}, {}
  for _, task in ipairs(plan.restored) do
    if not plan.places[task] or not plan.places[task].content then
      tasks[#tasks + 1] = task
    end
  end
  undoing.each(execution, tasks, function(place)
    place.content = moving.content(place)
    found[#found + 1] = place
  end)
  return found
end

-- Whoever dies with its new parents is told of first, then those that come after it.
local function skipDead(execution, plan, reason)
  for _, place in ipairs(plan.moved) do
    if place.isDead then
      moving.skip(place, place.content, reason)
    end
  end
  for _, place in ipairs(plan.moved) do
    if place.isDead then
      dependents.skip(execution, place.task)
    end
  end
end

-- ── Ranks ───────────────────────────────────────────────────────────────────────────────────────

local RANK_PAGE = 1000

-- What was never handed out waits in the order of a stream. In a group with ranks each task has a place of its own.
local function moveFresh(group)
  local key = records.streamKey(group, 'q')
  local delivered = records.lastDelivered(group)
  local from = delivered < 0 and '-' or '(' .. int(delivered) .. '-1'
  repeat
    local page = group.has.queue and call('XRANGE', key, from, '+', 'COUNT', RANK_PAGE) or {}
    for _, entry in ipairs(page) do
      local lease = leases.parse(group, 'q', entry)
      local tries = { state = 'queued', attempt = 0, failures = 0, losses = 0 }
      call('XDEL', key, entry[1])
      tries.entry = leases.enqueueAgain(lease, tries)
      leases.noteTry(lease, tries)
    end
    from = #page > 0 and '(' .. page[#page][1]
  until #page < RANK_PAGE
end

local function makeRanked(group)
  if group.isRanked then
    return
  end
  ready.withdraw(group)
  group.isRanked, group.execution.isRanked = true, true
  call('HSET', group.key, 'ranked', '1')
  call('HSET', group.execution.key, 'ranked', '1')
  ready.offerAll(group, 0)
  moveFresh(group)
end

-- More waiting tasks than this are not moved for the sake of their order alone.
local MOST_REORDERED = 20000

-- What comes back waits apart from what was never handed out, and would go first: in the order of numbers it stands only among
-- tasks that have places of their own.
local function keepOrder(places)
  for _, place in ipairs(places) do
    local group = place.group
    if not place.isDead and group.has.queue and group.counts.queued + group.counts.scheduled <= MOST_REORDERED then
      makeRanked(group)
    end
  end
end

local function placesOf(plan, tasks)
  local places = {}
  for at, task in ipairs(tasks) do
    places[at] = plan.places[task]
  end
  return places
end

local function setRank(execution, one)
  local key, name = execution.key .. ':marks', one.place.name
  local label = string.match(call('HGET', key, name) or '', UNIT .. '(.*)$')
  local rank = tonumber(one.rank) > 0 and one.rank or ''
  if rank == '' and not label then
    call('HDEL', key, name)
  else
    call('HSET', key, name, rank .. UNIT .. (label or ''))
  end
end

local function rankAll(execution, ranked)
  local tasks = {}
  for _, one in ipairs(ranked) do
    setRank(execution, one)
  end
  for _, one in ipairs(ranked) do
    makeRanked(one.place.group)
    tasks[#tasks + 1] = one.place.task
  end
  table.sort(tasks)
  -- Their places may be others by now.
  undoing.each(execution, tasks, function(place)
    if place.state == 'queued' and place.entry then
      ready.rank(place.group, place.task, place.entry)
    end
  end)
end

-- ── The whole ───────────────────────────────────────────────────────────────────────────────────

-- Reasons of its events; an undo has one for all.
local REASONS = { removed = 'removed', rewired = 'rewired', held = 'held', unheld = 'unheld' }
local UNDONE = { removed = 'undone', rewired = 'undone', held = 'undone', unheld = 'undone' }

local function linkExecution(execution)
  if not execution.isLinked then
    execution.isLinked = true
    call('HSET', execution.key, 'linked', '1')
  end
end

function applying.apply(execution, plan)
  local reasons = plan.edit.isUndo and UNDONE or REASONS
  local others = findOthers(execution, plan)
  if plan.priority then
    setPriority(execution, plan.priority)
  end
  for _, place in ipairs(plan.moved) do
    linkExecution(execution)
    leave(place)
  end
  for _, place in ipairs(plan.removed) do
    undoing.remove(place, reasons.removed)
  end
  bury(execution, plan.edit.bury)
  skipDead(execution, plan, reasons.rewired)
  for _, places in ipairs({ plan.moved, others }) do
    for _, place in ipairs(places) do
      if not place.isDead then
        noteOpen(place)
      end
    end
  end
  for _, place in ipairs(plan.removed) do
    dependents.skipAfter(execution, place.task)
  end
  submitting.add(execution, plan.edit.groups)
  keepOrder(plan.moved)
  keepOrder(others)
  for _, places in ipairs({ plan.moved, others }) do
    for _, place in ipairs(places) do
      if not place.isDead then
        arrive(place, reasons.rewired)
      end
    end
  end
  rankAll(execution, plan.ranked)
  moving.hold(execution, plan.held, reasons.held)
  keepOrder(placesOf(plan, plan.unheld))
  moving.letGo(execution, plan.unheld, reasons.unheld)
  books.touch(execution)
end
