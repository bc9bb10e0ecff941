-- List executions: those that fit, by their birth, a bounded number looked at.
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] list: executions|live, [4] order: newest|oldest, [5] birth to begin after ('' for the
--           first), [6] most executions to find, [7] most to look at, [8] what their id begins with, [9] what their name
--           contains, [10] states, [11] kinds (between separators, '' for any)
-- Returns   { 'ok', birth of the last one looked at ('' when there are no more), { id, birth, fields } … }
-- Invariant Changes nothing.

-- @include lib/shard

local key, isNewest = PREFIX .. ARGV[3], ARGV[4] == 'newest'
local limit, budget = tonumber(ARGV[6]), tonumber(ARGV[7])
local idPrefix, namePart, states, kinds = ARGV[8], ARGV[9], ARGV[10], ARGV[11]
local PAGE = 200
local reply = { 'ok', '' }

local function isAmong(list, value)
  return list == '' or string.find(list, UNIT .. value .. UNIT, 1, true) ~= nil
end

local function fits(id)
  if string.sub(id, 1, #idPrefix) ~= idPrefix then
    return false
  end
  local row = call('HMGET', PREFIX .. 'exec:' .. id, 'state', 'kind', 'name')
  return row[1] and isAmong(states, row[1]) and isAmong(kinds, row[2])
    and (namePart == '' or string.find(row[3] or '', namePart, 1, true) ~= nil)
end

local function pageAfter(birth)
  local from = birth ~= '' and '(' .. birth
  if isNewest then
    return call('ZREVRANGEBYSCORE', key, from or '+inf', '-inf', 'WITHSCORES', 'LIMIT', 0, PAGE)
  end
  return call('ZRANGEBYSCORE', key, from or '-inf', '+inf', 'WITHSCORES', 'LIMIT', 0, PAGE)
end

local function look(page)
  for at = 1, #page, 2 do
    if budget == 0 or #reply - 2 == limit then
      return
    end
    budget = budget - 1
    reply[2] = page[at + 1]
    if fits(page[at]) then
      reply[#reply + 1] = { page[at], page[at + 1], call('HGETALL', PREFIX .. 'exec:' .. page[at]) }
    end
  end
end

local birth = ARGV[5]
while true do
  local page = pageAfter(birth)
  look(page)
  if reply[2] ~= page[#page] then
    return reply
  elseif #page < 2 * PAGE then
    reply[2] = ''
    return reply
  end
  birth = reply[2]
end
