-- Ready work → leases of one session. A task is either waiting in its stream (never delivered) or a
-- pending entry of one consumer, never both; XREADGROUP moves it in one step.
--
-- The reply: one array per lane, { execution, group, spec, kind, worker-side fields … }:
--   q: task, input, task, input …                                    tasks handed out for the first time
--   a: id, task, attempt, input, parents, results of parents …       tasks that came back or were released
--   c: stream and id, task, start, end, attempt, careful, replica …  chunks and copies
-- `spec` is the group's description, '' when the caller has it or when it is large (it is read apart).

-- Longer descriptions are not sent with every claim, bytes.
local SMALL_SPEC = 4096

local function specOf(group, taking)
  taking.room = taking.room - group.specBytes
  if taking.knownLane == group.lane or group.specBytes > SMALL_SPEC then
    return ''
  end
  return call('HGET', group.key, 'spec')
end

local function newLane(taking, group, kind)
  local key = group.key .. kind
  local lane = taking.lanes[key]
  if lane == nil then
    lane = { group.execution.id, group.no, specOf(group, taking), kind }
    taking.lanes[key] = lane
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

local function parentResults(taking, group, parents)
  local tasks = cjson.decode(parents)
  if #tasks == 0 then
    return ''
  end
  local found = call('HMGET', group.execution.key .. ':results', unpack(tasks))
  local texts = {}
  for at, text in ipairs(found) do
    texts[at] = text or ''
    taking.room = taking.room - #texts[at]
  end
  return texts
end

local function takeAgain(taking, group, quota)
  local taken = 0
  while group.has.again and taken < quota and taking.room > 0 do
    local wanted = pageOf(taking, group, quota - taken)
    local entries = readNew(taking, group, 'a', group.isLinked and 1 or wanted)
    local texts = {}
    for _, entry in ipairs(entries) do
      local lease = leases.parse(group, 'a', entry)
      local lane = newLane(taking, group, 'a')
      local at = #lane
      lane[at + 1] = lease.id
      lane[at + 2] = lease.task
      lane[at + 3] = lease.attempt
      lane[at + 4] = lease.input
      lane[at + 5] = lease.parents or ''
      lane[at + 6] = lease.parents and parentResults(taking, group, lease.parents) or ''
      taking.room = taking.room - #lease.input
      texts[#texts + 1] = int(lease.task)
    end
    taken = taken + #entries
    tellRunning(taking, group, texts, #entries)
    if #entries < (group.isLinked and 1 or wanted) then
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

local function takeTurns(taking, pools, ageingMs)
  local taken = taking.chunks
  while taken < taking.max and taking.room > 0 do
    local wanted = taking.max - taken
    local group, share = ready.nextTurn(taking.session, pools, wanted, ageingMs)
    if group == nil then
      return taken
    end
    local quota = math.min(share, wanted)
    local got, isDry
    if group.length then
      got, isDry = takeChunks(taking, group, quota)
    else
      got = takeTasks(taking, group, quota)
    end
    if isDry or (got < quota and taking.room > 0) then
      ready.withdraw(group)
    end
    taken = taken + got
  end
  return taken
end

-- The session has found nothing and wants to be called when there is work.
function claiming.wait(session)
  for _, pool in ipairs(session.pools) do
    call('ZADD', ready.poolKey(pool) .. ':idle', int(now), session.id)
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
    session = session, reply = {}, lanes = {}, chunks = 0, max = request.max, room = request.room,
    knownLane = request.knownLane,
  }
  local taken = 0
  if not session.isDraining and request.max > 0 then
    local pools = ready.openPools(session.pools)
    takeReplicas(taking, pools)
    taken = takeTurns(taking, pools, request.ageingMs)
  elseif request.waiting == '1' then
    request.waiting = '2'
  end
  waitForWork(session, request, taken)
  return taking.reply, taken
end
