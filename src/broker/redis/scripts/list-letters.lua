-- List letters: dead letters of one execution, or of all in the shard by their birth.
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] execution ('' for all), [4] birth of the execution to go on with ('' for the first),
--           [5] place and [6] name of the letter to begin after ('' for the first), [7] most letters, [8] 1: with inputs,
--           [9] room for inputs (bytes)
-- Returns   { 'ok', where the next page begins: { birth, place, name }, empty at the end, { execution, name, try (JSON), input ('' for
--           none) } … } or { 'EXECUTION_NOT_FOUND' }
-- Invariant Changes nothing. The input that uses the room up is the last one.

-- @include lib/shard
-- @include lib/records
-- @include lib/letters
-- @include lib/replaying

local limit, withInputs, room = tonumber(ARGV[7]), ARGV[8] == '1', tonumber(ARGV[9])
local reply = { 'ok', {} }

local function isFull()
  return #reply - 2 >= limit or room <= 0
end

-- Where to go on in an execution's letters: the letter itself may be gone by now.
local function placeAfter(key, score, name)
  local rank = call('ZRANK', key, name)
  if rank then
    return rank + 1
  end
  local place = call('ZCOUNT', key, '-inf', '(' .. score)
  for _, other in ipairs(call('ZRANGEBYSCORE', key, score, score)) do
    if other < name then
      place = place + 1
    end
  end
  return place
end

local function add(execution, field)
  local try = call('HGET', execution.key .. ':tries', field)
  if not try then
    return
  end
  local input = withInputs and not string.find(field, ':', 1, true) and replaying.inputOf(execution, tonumber(field)) or ''
  room = room - #input
  reply[#reply + 1] = { execution.id, field, try, input }
end

local function readLetters(execution, birth, place)
  local rows = call('ZRANGE', execution.key .. ':letters', place, place + limit, 'WITHSCORES')
  for at = 1, #rows, 2 do
    add(execution, rows[at])
    if isFull() then
      reply[2] = { birth, rows[at + 1], rows[at] }
      return
    end
  end
end

local function readExecution(id, birth)
  local execution = records.execution(id)
  if execution then
    local isNext = birth == ARGV[4] and ARGV[6] ~= ''
    readLetters(execution, birth, isNext and placeAfter(execution.key .. ':letters', ARGV[5], ARGV[6]) or 0)
  end
end

if ARGV[3] ~= '' then
  if not records.execution(ARGV[3]) then
    return { 'EXECUTION_NOT_FOUND' }
  end
  readExecution(ARGV[3], ARGV[4])
  return reply
end
local from = ARGV[4] == '' and '-inf' or ARGV[4]
while not isFull() do
  local found = call('ZRANGEBYSCORE', PREFIX .. 'dead', from, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
  if #found == 0 then
    break
  end
  readExecution(found[1], found[2])
  from = '(' .. found[2]
end
return reply
