-- Read events: those of one execution, or of the shard, after a cursor (promise 10).
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] cursor, [4] execution or '', [5] most events
-- Returns   { 'ok', cursor, execution ('' for sessions), fields, cursor, execution, fields … } or
--           { 'EXECUTION_NOT_FOUND' }
-- Invariant What was purged is left out; the page is only shorter than asked for at the end.

-- @include lib/shard

local limit = tonumber(ARGV[5])
local reply = { 'ok' }

local function add(id, execution, fields)
  reply[#reply + 1] = string.match(id, '^%d+')
  reply[#reply + 1] = execution
  reply[#reply + 1] = fields
end

if ARGV[4] ~= '' then
  local key = PREFIX .. 'exec:' .. ARGV[4]
  if call('EXISTS', key) == 0 then
    return { 'EXECUTION_NOT_FOUND' }
  end
  for _, entry in ipairs(call('XRANGE', key .. ':events', '(' .. ARGV[3] .. '-0', '+', 'COUNT', limit)) do
    add(entry[1], ARGV[4], entry[2])
  end
  return reply
end

local function read(entry)
  local fields = entry[2]
  if fields[1] ~= 'execution' then
    add(entry[1], '', fields)
    return
  end
  local found = call('XRANGE', PREFIX .. 'exec:' .. fields[2] .. ':events', entry[1], entry[1])[1]
  if found then
    add(entry[1], fields[2], found[2])
  end
end

local from = '(' .. ARGV[3] .. '-0'
while (#reply - 1) / 3 < limit do
  local page = call('XRANGE', PREFIX .. 'feed', from, '+', 'COUNT', limit - (#reply - 1) / 3)
  if #page == 0 then
    break
  end
  for _, entry in ipairs(page) do
    read(entry)
  end
  from = '(' .. page[#page][1]
end
return reply
