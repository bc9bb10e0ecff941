-- Ready work → leases of one session. A task is either waiting in its stream (never delivered) or a
-- pending entry of one consumer, never both; XREADGROUP moves it in one step.
--
-- The reply: one array per lane, { execution, group, spec, kind, worker-side fields … }:
--   q: task, input, task, input …                                    tasks handed out for the first time
--   a: id, task, attempt, input, parents, results of parents, what it resumes with (lib/suspending.lua), label …
--                                                                    tasks that came back or were released
--   c: stream and id, task, start, end, attempt, careful, replica …  chunks and copies
-- `spec` is the group's description, '' when the caller has it or when it is large (it is read apart).

-- Longer descriptions are not sent with every claim, bytes.
local SMALL_SPEC = 4096

local function specOf(group, taking)
  taking.room = taking.room - group.specBytes
  if taking.knownLane == group.lane or taking.told[group.key] or group.specBytes > SMALL_SPEC then
    return ''
  end
  taking.told[group.key] = true
  return call('HGET', group.key, 'spec')
end

-- The lane to which the next leases of the group are added: what was taken first comes first.
local function newLane(taking, group, kind)
  local key = group.key .. kind
  local lane = taking.lane
  if taking.laneKey ~= key then
    lane = { group.execution.id, group.no, specOf(group, taking), kind }
    taking.lane, taking.laneKey = lane, key
    taking.reply[#taking.reply + 1] = lane
    if group.execution.state == 'pending' then
      books.changeState(group.execution, 'running')
    end
  end
  return lane
end

local function readNew(taking, group, kind, max)
  local found = call(
    'XREADGROUP', 'GROUP', group.pool, taking.session.id, 'COUNT', max, 'STREAMS', records.streamKey(group, kind), '>'
  )
  local entries = found and found[1] and found[1][2] or {}
  if #entries > 0 then
    books.hold(taking.session, group, #entries)
    if group.timeoutMs then
      call('SADD', PREFIX .. 'timed', group.lane)
    end
    if hasOwnClock then
      -- The delivery time says how long a lease has run.
      for _, entry in ipairs(entries) do
        call('XCLAIM', records.streamKey(group, kind), group.pool, taking.session.id, 0, entry[1], 'TIME', int(now), 'JUSTID')
      end
    end
  end
  return entries
end

-- Most entries to read at once, so that their texts stay within what the reply may carry.
local function pageOf(taking, group, wanted)
  if group.maxInput == 0 then
    return wanted
  end
  return math.max(1, math.min(wanted, math.floor(taking.room / group.maxInput)))
end

local function tellRunning(taking, group, texts, items)
  if #texts > 0 then
    journal.tasks(group.execution, {
      state = 'running', text = table.concat(texts, ','), worker = taking.session.worker, items = items,
    })
  end
end

-- ── Separate tasks ──────────────────────────────────────────────────────────────────────────────

-- Arguments of one command.
local MOST_AT_ONCE = 5000

local function parentResults(taking, group, parents)
  local tasks = cjson.decode(parents)
  if #tasks == 0 then
    return ''
  end
  local texts = {}
  for from = 1, #tasks, MOST_AT_ONCE do
    local page = { unpack(tasks, from, math.min(#tasks, from + MOST_AT_ONCE - 1)) }
    for _, text in ipairs(call('HMGET', group.execution.key .. ':results', unpack(page))) do
      texts[#texts + 1] = text or ''
      taking.room = taking.room - #(text or '')
    end
  end
  return texts
end

-- Adds the lease of an entry of `again` to the lane; its task as text.
local function addAgain(taking, group, entry, lane)
  local lease = leases.parse(group, 'a', entry)
  local resumption, suspension = suspending.resumption(group.execution, lease.task)
  local parents = suspending.parents(suspension, lease.parents)
  local at, task = #lane, int(lease.task)
  lane[at + 1] = lease.id
  lane[at + 2] = lease.task
  lane[at + 3] = lease.attempt
  lane[at + 4] = lease.input
  lane[at + 5] = parents or ''
  lane[at + 6] = parents and parentResults(taking, group, parents) or ''
  lane[at + 7] = resumption
  lane[at + 8] = ''
  taking.room = taking.room - #lease.input
  return task
end

-- Labels of the last tasks of a lane.
local function addLabels(group, lane, tasks)
  for at, mark in ipairs(call('HMGET', group.execution.key .. ':marks', unpack(tasks))) do
    if mark then
      lane[#lane - 8 * (#tasks - at)] = string.match(mark, UNIT .. '(.*)$') or ''
    end
  end
end

local function takeAgain(taking, group, quota)
  local taken = 0
  while group.has.again and taken < quota and taking.room > 0 do
    local wanted = pageOf(taking, group, quota - taken)
    -- Whose texts, and those of their parents, cannot be told beforehand is read one by one.
    local isAlone = group.isLinked or group.execution.suspends
    local entries = readNew(taking, group, 'a', isAlone and 1 or wanted)
    local texts = {}
    for at, entry in ipairs(entries) do
      texts[at] = addAgain(taking, group, entry, newLane(taking, group, 'a'))
    end
    taken = taken + #entries
    tellRunning(taking, group, texts, #entries)
    if #entries < (isAlone and 1 or wanted) then
      break
    end
  end
  return taken
end

local function takeFresh(taking, group, quota)
  local taken = 0
  while group.has.queue and taken < quota and taking.room > 0 do
    local wanted = pageOf(taking, group, quota - taken)
    local entries = readNew(taking, group, 'q', wanted)
    local found = #entries
    local lane = found > 0 and newLane(taking, group, 'q')
    local place = lane and #lane
    local texts = {}
    local bytes = 0
    for at = 1, found do
      local entry = entries[at]
      local task, input = string.sub(entry[1], 1, -3), entry[2][2]
      lane[place + 1] = task
      lane[place + 2] = input
      place = place + 2
      bytes = bytes + #input
      texts[at] = task
    end
    taking.room = taking.room - bytes
    taken = taken + found
    tellRunning(taking, group, texts, found)
    if found < wanted then
      break
    end
  end
  return taken
end

-- Returns how many were taken; fewer than the quota (with room left) means that the group has no more.
local function takeTasks(taking, group, quota)
  local taken = takeAgain(taking, group, quota)
  taken = taken + takeFresh(taking, group, quota - taken)
  if taken > 0 then
    books.move(group, 'queued', 'running', taken)
  end
  return taken
end

-- ── Ranked tasks ────────────────────────────────────────────────────────────────────────────────

local MOST_RANKED = 256

-- The session gets entries of `again`, which need not be the oldest ones.
local function takeEntries(taking, group, ids)
  local request = { records.streamKey(group, 'a'), group.pool, taking.session.id, 0, unpack(ids) }
  request[#request + 1] = 'FORCE'
  if hasOwnClock then
    request[#request + 1] = 'TIME'
    request[#request + 1] = int(now)
  end
  return call('XCLAIM', unpack(request))
end

-- Tasks of one group, by their entries, in their order. Returns how many were taken, and the entries that were too much for
-- the reply, as a set.
local function takeRun(taking, group, ids)
  local lane, texts, left, surplus = newLane(taking, group, 'a'), {}, {}, {}
  for _, entry in ipairs(takeEntries(taking, group, ids)) do
    if entry and entry[2] and taking.room > 0 then
      texts[#texts + 1] = addAgain(taking, group, entry, lane)
    elseif entry and entry[2] then
      left[entry[1]] = true
      surplus[#surplus + 1] = entry[1]
    end
  end
  if #surplus > 0 then
    call('XACK', records.streamKey(group, 'a'), group.pool, unpack(surplus))
  end
  if #texts > 0 then
    addLabels(group, lane, texts)
    books.hold(taking.session, group, #texts)
    books.move(group, 'queued', 'running', #texts)
    tellRunning(taking, group, texts, #texts)
    if group.timeoutMs then
      call('SADD', PREFIX .. 'timed', group.lane)
    end
  end
  return #texts, left
end

-- The group of the ranked task at `rows[at]`, the entries of those of it that follow, as many as the reply has room for, and
-- the place beyond. Rows: member, score, member, score …
local function runFrom(taking, rows, at, execution)
  local no = ready.placeOf(rows[at])
  local group, ids = records.group(execution, no), {}
  local most = pageOf(taking, group, MOST_RANKED)
  while rows[at] and #ids < most do
    local own, entry = ready.placeOf(rows[at])
    if own ~= no then
      break
    end
    ids[#ids + 1] = entry
    at = at + 2
  end
  return group, ids, at
end

-- Ranked tasks of an execution. Returns how many were taken, and whether the execution has no lanes left.
local function takeRanked(taking, turn, quota)
  local wanted = math.min(quota, MOST_RANKED)
  local rows = call('ZPOPMIN', turn.lanes, wanted)
  local isEmpty, taken, at = #rows < 2 * wanted, 0, 1
  local function putBack(place)
    isEmpty = false
    call('ZADD', turn.lanes, rows[place + 1], rows[place])
  end
  while rows[at] and taking.room > 0 and ready.placeOf(rows[at]) do
    local group, ids, beyond = runFrom(taking, rows, at, turn.execution)
    local got, left = takeRun(taking, group, ids)
    for place = at, next(left) and beyond - 2 or 0, 2 do
      local _, entry = ready.placeOf(rows[place])
      if left[entry] then
        putBack(place)
      end
    end
    taken, at = taken + got, beyond
  end
  for place = at, #rows, 2 do
    putBack(place)
  end
  return taken, isEmpty or call('EXISTS', turn.lanes) == 0
end

-- ── Chunks of an array ──────────────────────────────────────────────────────────────────────────

local MAX_CHUNK_ITEMS = 100000
local MAX_PROBE_ITEMS = 16
local TAIL_SPLIT = 2

-- Items of the next chunk; the same arithmetic as src/core/chunking.ts.
local function planChunk(group, remaining, slots)
  local plan = group.chunk
  if plan.kind == 'fixed' then
    return math.max(1, math.min(plan.size, remaining, MAX_CHUNK_ITEMS))
  end
  local share = math.floor((group.length - remaining) / slots)
  local tail = math.ceil(remaining / (TAIL_SPLIT * slots))
  local size
  if group.averageItemMs == nil then
    size = math.max(plan.min, math.min(share, MAX_PROBE_ITEMS, tail, plan.max))
  else
    local target = math.floor(plan.targetMs / group.averageItemMs)
    size = math.max(plan.min, math.min(target, math.max(share, MAX_PROBE_ITEMS), tail, plan.max))
  end
  return math.max(1, math.min(size, remaining, MAX_CHUNK_ITEMS))
end

-- What planning needs of an array, read once per script. Counts of this script are written first.
local function loadArray(group)
  books.flush()
  local row = call('HMGET', group.key, 'chunk', 'averageItemMs', 'queued')
  group.chunk = group.chunk or cjson.decode(row[1])
  group.averageItemMs = row[2] and tonumber(row[2]) or nil
  group.slots = math.max(1, count(call('HGET', ready.poolKey(group.pool), 'slots')))
  return count(row[3])
end

local function pushChunk(taking, group, lease)
  local lane = newLane(taking, group, 'c')
  local at = #lane
  lane[at + 1] = lease.kind .. lease.id
  lane[at + 2] = int(lease.task)
  lane[at + 3] = int(lease.start)
  lane[at + 4] = int(lease.last)
  lane[at + 5] = lease.attempt
  lane[at + 6] = lease.isCareful and '1' or ''
  lane[at + 7] = lease.replica and int(lease.replica) or ''
  taking.chunks = taking.chunks + 1
end

-- A chunk that is handed out in the step that makes it.
local function makeChunk(taking, group, from, to, tries)
  ranges.add(group, from, to, tries)
  return leases.parse(group, 'c', readNew(taking, group, 'c', 1)[1])
end

-- A range that came back may be larger than one chunk should be by now: the rest waits on.
local function nextRange(taking, group, size)
  local from, to, tries = ranges.take(group)
  if from == nil then
    return nil
  end
  if to - from > size and not tries.isCareful then
    ranges.enqueue(group, from + size, to, tries)
    leases.noteTry({ group = group, task = group.first, start = from + size }, {
      state = 'queued', attempt = tries.attempt, failures = tries.failures, losses = tries.losses, last = to,
    })
    to = from + size
  end
  return makeChunk(taking, group, from, to, tries)
end

local function carve(taking, group, size)
  local start = group.cursor
  local last = math.min(group.length, start + size)
  group.cursor = last
  call('HSET', group.key, 'cursor', int(last))
  return makeChunk(taking, group, start, last, {})
end

local function takeChunks(taking, group, quota)
  local remaining = loadArray(group)
  local taken = 0
  local texts = {}
  local items = 0
  while taken < quota and remaining > 0 do
    local size = planChunk(group, remaining, group.slots)
    local lease = nextRange(taking, group, size)
    if lease == nil and group.cursor < group.length then
      lease = carve(taking, group, size)
    end
    if lease == nil then
      break
    end
    pushChunk(taking, group, lease)
    taken = taken + 1
    remaining = remaining - (lease.last - lease.start)
    items = items + lease.last - lease.start
    texts[taken] = ranges.textOf(lease, lease.start, lease.last)
  end
  if items > 0 then
    books.move(group, 'queued', 'running', items)
    tellRunning(taking, group, texts, taken)
  end
  return taken, remaining <= 0
end

-- ── Copies of verified chunks ───────────────────────────────────────────────────────────────────

local function takeReplicas(taking, pools)
  verification.eachFor(taking.session, pools, function(group, record, start, replica, content)
    pushChunk(taking, group, makeChunk(taking, group, start, record.last, {
      attempt = tonumber(content[2]), failures = tonumber(content[3]), losses = tonumber(content[4]),
      isCareful = content[5] == '1', replica = replica,
    }))
    return taking.chunks < taking.max
  end)
end

-- ── The claim ───────────────────────────────────────────────────────────────────────────────────

-- A turn of a task group: how many leases it gave, and whether its execution has no lanes left.
local function takeLane(taking, turn, quota)
  local group = records.group(turn.execution, ready.groupOf(turn.lane))
  local got, isDry
  if group.length then
    got, isDry = takeChunks(taking, group, quota)
  else
    got = takeTasks(taking, group, quota)
  end
  if isDry or (got < quota and taking.room > 0) then
    group.isOffered = false
    call('ZREM', turn.lanes, turn.lane)
    return got, call('EXISTS', turn.lanes) == 0
  end
  return got, false
end

local function takeTurns(taking, pools, ageingMs)
  local taken = taking.chunks
  local order = taken < taking.max and ready.order(taking.session, pools, ageingMs)
  while taken < taking.max and taking.room > 0 do
    local wanted = taking.max - taken
    local turn, share = ready.nextTurn(order, wanted)
    if turn == nil then
      break
    end
    local quota = math.min(share, wanted)
    local got, isEmpty = 0, true
    if turn.lane then
      local take = ready.placeOf(turn.lane) and takeRanked or takeLane
      got, isEmpty = take(taking, turn, quota)
    end
    ready.endTurn(order, turn, isEmpty)
    taken = taken + got
  end
  if order then
    ready.close(order)
  end
  return taken
end

-- The session has found nothing and wants to be called when there is work.
function claiming.wait(session)
  for _, pool in ipairs(session.pools) do
    if not session.standby[pool] then
      call('ZADD', ready.poolKey(pool) .. ':idle', int(now), session.id)
    end
  end
end

local function waitForWork(session, request, taken)
  if request.waiting == '1' and taken == 0 then
    call('HSET', session.key, 'wantsLeases', request.max, 'wantsAgeingMs', request.ageingMs, 'wantsFor', request.process)
    claiming.wait(session)
  elseif request.waiting ~= '0' then
    for _, pool in ipairs(session.pools) do
      call('ZREM', ready.poolKey(pool) .. ':idle', session.id)
    end
  end
end

-- Leases for a session, as lanes, and how many. `request`: max, room (bytes of texts), ageingMs, knownLane,
-- waiting: '1' to be called when there is work, if there is none now; '2' to be called no longer; '0': as before;
-- process: who asks.
function claiming.claim(session, request)
  local taking = {
    session = session, reply = {}, told = {}, chunks = 0, max = request.max, room = request.room,
    knownLane = request.knownLane,
  }
  local taken = 0
  if not session.isDraining and request.max > 0 then
    local pools = ready.openPools(session.pools, session)
    takeReplicas(taking, pools)
    taken = takeTurns(taking, pools, request.ageingMs)
  elseif request.waiting == '1' then
    request.waiting = '2'
  end
  waitForWork(session, request, taken)
  return taking.reply, taken
end
