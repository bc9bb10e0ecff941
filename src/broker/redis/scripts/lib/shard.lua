-- What every transition starts from: the shard's keys, the broker's clock, and the numbers it hands out.
--
-- The library is loaded in one of two ways (scripts.ts). As functions of the server, where it has them:
-- once, and then called by name. As scripts, where it has not: each script brings the library along, and
-- what it touches of it is made anew with every call. So nothing may be kept from one call to the next:
-- what a part needs for the time of a call is set up by `eachCall`.
--
-- KEYS[1] is the shard's `meta` key; all other keys share its prefix and so its hash tag and slot.
-- They cannot be declared one by one, because which of them a transition needs stands in the data.
-- ARGV[1] is the time in milliseconds since 1970 when the caller brings its own clock (tests); empty:
-- the server's, which is the broker's clock.
-- Numbers become text by `int` only: Lua's own conversion rounds after 14 digits.

-- The parts. Each is filled by its own file: in a library with its first call, in a script when it is first
-- used, so that the script pays for no more.
local cursors, records, journal, ready, orders, books = {}, {}, {}, {}, {}, {}
local leases, ranges, dependents, verification, claiming = {}, {}, {}, {}, {}
local outcomes, submitting, ending, examining, whereabouts = {}, {}, {}, {}, {}
local replaying, letters, later, ahead, undoing, editing = {}, {}, {}, {}, {}, {}
local state, locks, checkpoints, standby, suspending = {}, {}, {}, {}, {}
local moving, reshaping, applying, takingback = {}, {}, {}, {}

local fills = {}
local unfilled = {
  __index = function(table, name)
    setmetatable(table, nil)
    table.isLoaded = true
    fills[table]()
    return table[name]
  end,
}

local waiting = {}

local function part(table, fill)
  fills[table] = fill
  if IS_LIBRARY then
    -- While a library is loaded there is hardly anything to work with.
    waiting[#waiting + 1] = table
  else
    setmetatable(table, unfilled)
  end
end

local resets = {}

-- Runs `reset` now, and at the start of every later call.
local function eachCall(reset)
  resets[#resets + 1] = reset
  reset()
end

local PREFIX, META, call, hasOwnClock, now

local function serverMs()
  local time = call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- The first act of every transition. A server whose memory is full refuses a script at its first write if
-- that takes memory; all but new work must go on then, so a write that takes none comes first.
local function startScript(goesOnWithoutMemory)
  call = redis.call
  META = KEYS[1]
  PREFIX = string.sub(META, 1, -5)
  hasOwnClock = ARGV[1] ~= ''
  now = hasOwnClock and tonumber(ARGV[1]) or serverMs()
  for _, reset in ipairs(resets) do
    reset()
  end
  for _, table in ipairs(waiting) do
    table.isLoaded = true
    fills[table]()
  end
  waiting = {}
  if goesOnWithoutMemory then
    call('HDEL', META, '')
  end
end

local function int(number)
  return string.format('%.0f', number)
end

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

eachCall(function()
  cursors.last = nil
  cursors.moved = false
end)

-- The first number of this kind after `last`, which may be another shard's, that is not before this moment.
function cursors.after(last, shard)
  local base = shard * 128
  local cursor = (now - EPOCH_MS) * 4096 + base
  if cursor > last then
    return cursor
  end
  local offset = (last + 1) % 4096 - base
  if offset >= 0 and offset < 128 then
    return last + 1
  end
  cursor = math.floor(last / 4096) * 4096 + base
  return cursor > last and cursor or cursor + 4096
end

local function readNumbers()
  if cursors.last == nil then
    local meta = call('HMGET', META, 'cursor', 'shard', 'turn')
    cursors.last, cursors.shard, cursors.lastTurn = count(meta[1]), count(meta[2]), count(meta[3])
  end
end

-- The number of the next turn (lib/ready.lua).
function cursors.turn()
  readNumbers()
  cursors.lastTurn = cursors.lastTurn + 1
  cursors.moved = true
  return cursors.lastTurn
end

function cursors.next()
  readNumbers()
  cursors.last = cursors.after(cursors.last, cursors.shard)
  cursors.moved = true
  return cursors.last
end

function cursors.flush()
  if cursors.moved then
    call('HSET', META, 'cursor', int(cursors.last), 'turn', int(cursors.lastTurn))
    cursors.moved = false
  end
end

-- The last act of every transition: what was counted and told is written, and those who wait are called.
local function finishScript()
  if rawget(books, 'isLoaded') then
    books.settle()
  end
  if rawget(ready, 'isLoaded') then
    ready.flush()
  end
  if rawget(books, 'isLoaded') then
    books.flush()
  end
  if rawget(journal, 'isLoaded') then
    journal.flush()
  end
  cursors.flush()
end
