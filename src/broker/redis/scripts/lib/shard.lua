-- What every script starts from: the shard's keys, the broker's clock, and the numbers it hands out.
--
-- KEYS[1] is the shard's `meta` key; all other keys share its prefix and so its hash tag and slot.
-- They cannot be declared one by one, because which of them a transition needs stands in the data.
-- ARGV[1] is the time in milliseconds since 1970 when the caller brings its own clock (tests); empty:
-- the server's, which is the broker's clock.
-- Numbers become text by `int` only: Lua's own conversion rounds after 14 digits.

-- The parts of this library. Each is filled by its own file when it is first used: a script pays for
-- what it touches, and the functions of a part that nobody calls are never made.
local cursors, records, journal, ready, orders, books = {}, {}, {}, {}, {}, {}
local leases, ranges, dependents, verification, claiming = {}, {}, {}, {}, {}
local outcomes, submitting, ending, examining, whereabouts = {}, {}, {}, {}, {}

local fills = {}
local unfilled = {
  __index = function(table, name)
    setmetatable(table, nil)
    table.isLoaded = true
    fills[table]()
    return table[name]
  end,
}

local function part(table, fill)
  fills[table] = fill
  setmetatable(table, unfilled)
end

local PREFIX = string.sub(KEYS[1], 1, -5)
local META = KEYS[1]
local call = redis.call

local function int(number)
  return string.format('%.0f', number)
end

local function serverMs()
  local time = call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

local hasOwnClock = ARGV[1] ~= ''
local now = hasOwnClock and tonumber(ARGV[1]) or serverMs()

local function count(value)
  return tonumber(value or nil) or 0
end

-- ASCII unit separator: parts of a member that may hold any text.
local UNIT = '\31'

local function splitUnits(text)
  local parts = {}
  for part in string.gmatch(text .. UNIT, '(.-)' .. UNIT) do
    parts[#parts + 1] = part
  end
  return parts
end

-- Event cursors: milliseconds since 2020 × 4096 + shard × 128 + a number within the millisecond. So
-- they ascend within a shard, differ between shards, and stay below 2^53 until 2089.
local EPOCH_MS = 1577836800000

function cursors.next()
  if cursors.last == nil then
    local meta = call('HMGET', META, 'cursor', 'shard')
    cursors.last = count(meta[1])
    cursors.shard = count(meta[2])
  end
  local base = cursors.shard * 128
  local cursor = (now - EPOCH_MS) * 4096 + base
  if cursor <= cursors.last then
    cursor = cursors.last + 1
    if cursor % 4096 - base >= 128 then
      cursor = (math.floor(cursors.last / 4096) + 1) * 4096 + base
    end
  end
  cursors.last = cursor
  cursors.moved = true
  return cursor
end

function cursors.flush()
  if cursors.moved then
    call('HSET', META, 'cursor', int(cursors.last))
    cursors.moved = false
  end
end

-- The last act of every transition: what was counted and told is written, and those who wait are called.
local function finishScript()
  if rawget(books, 'isLoaded') then
    books.settle()
  end
  if rawget(journal, 'isLoaded') then
    journal.flush()
  end
  if rawget(ready, 'isLoaded') then
    ready.flush()
  end
  cursors.flush()
end
