-- Read results: rows of an execution in the order of their commits.
--
-- A cursor is the number of rows that were read before.
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] execution, [4] cursor, [5] most rows, [6] room for texts (bytes),
--           [7] 1: without values
-- Returns   { 'ok', cursor, 1 when the execution has ended and nothing follows, entry, worker, at, record, values … }:
--           entry is a task or [task,start,end]; record '' when the row is gone
-- Invariant The row that uses the room up is the last one.

-- @include lib/shard

local key = PREFIX .. 'exec:' .. ARGV[3]
local row = call('HMGET', key, 'state', 'ended', 'told', 'reran')
if not row[1] then
  return { 'EXECUTION_NOT_FOUND' }
end
local cursor, limit, room = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local isLean = ARGV[7] == '1'
local reply = { 'ok', 0, 0 }
local rows = 0

local function isFull()
  return rows >= limit or room <= 0
end

local function eventOf(id)
  local values = {}
  local entry = call('XRANGE', key .. ':events', id .. '-0', id .. '-0')[1]
  for at = 1, entry and #entry[2] or 0, 2 do
    values[entry[2][at]] = entry[2][at + 1]
  end
  return values
end

local function addRow(entry, event)
  local field = type(entry) == 'table' and table.concat({ int(entry[1]), int(entry[2]), int(entry[3]) }, ':') or int(entry)
  local record, values
  if type(entry) == 'table' then
    record = call('HGET', key .. ':results', field) or ''
    values = not isLean and call('HGET', key .. ':values', field) or ''
  elseif isLean then
    -- The head of a task's record says all but its result.
    record = string.match(call('HGET', key .. ':results', field) or '', '^(.-"durationMs":[^,}]+)') or ''
    values = ''
  else
    record, values = call('HGET', key .. ':results', field) or '', ''
  end
  for _, value in ipairs({ field, event.worker or '', event.at or '0', record, values }) do
    reply[#reply + 1] = value
  end
  rows = rows + 1
  room = room - #record - #values
end

-- Whether the result with this number, from 1, was taken back when its task was run again.
local function isRetaken(entry, number)
  local before = row[4] and type(entry) ~= 'table' and call('HGET', key .. ':retaken', int(entry))
  return before and number <= tonumber(before)
end

local function readCommit(commit)
  local first = tonumber(string.match(commit[1], '^%d+')) - 1
  local event = eventOf(commit[2][2])
  local entries = cjson.decode(commit[2][4] or event.tasks or '[]')
  for at = cursor - first + 1, #entries do
    if isFull() then
      return
    end
    if not isRetaken(entries[at], first + at) then
      addRow(entries[at], event)
    end
    cursor = first + at
  end
end

local start = call('XREVRANGE', key .. ':commits', int(cursor + 1) .. '-0', '-', 'COUNT', 1)[1]
local page = call('XRANGE', key .. ':commits', start and start[1] or '-', '+', 'COUNT', limit + 1)
for _, commit in ipairs(page) do
  if isFull() then
    break
  end
  readCommit(commit)
end
reply[2] = int(cursor)
reply[3] = (row[2] and cursor >= count(row[3])) and 1 or 0
return reply
