-- Examination of an array: where its items stand, one kind of place and one page at a time.
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] 1: mend, [4] execution, [5] group, [6] place: rows|letters|discarded|chunks|leases|later|ranges,
--           [7] cursor ('' to begin), [8] page
-- Returns   { 'ok', findings (lib/examining.lua), next cursor ('' at the end), seal (lib/examining.lua), piece … }: a piece is
--           { start, end, … }: rows: items that are missing; chunks: entry, replica ('' for none), held (0|1);
--           later: 1 when its timer is there; ranges: member
-- Invariant Changes nothing but leases of entries that are gone. A page may tell of a piece again.

-- @include lib/shard
-- @include lib/records
-- @include lib/journal
-- @include lib/ready
-- @include lib/orders
-- @include lib/books
-- @include lib/leases
-- @include lib/letters
-- @include lib/ranges
-- @include lib/dependents
-- @include lib/suspending
-- @include lib/verification
-- @include lib/claiming
-- @include lib/examining

local execution = records.live(ARGV[4])
local group = execution and examining.group(execution, ARGV[5])
local cursor, page = ARGV[7], tonumber(ARGV[8])
local pieces, places = {}, {}

local function add(...)
  pieces[#pieces + 1] = { ... }
end

-- Fields of a hash that belong to the array, with HSCAN: visits (field's numbers, value).
local function scan(name, pattern, visit)
  local found = call('HSCAN', execution.key .. ':' .. name, cursor == '' and '0' or cursor, 'MATCH', pattern, 'COUNT', page)
  for at = 1, #found[2], 2 do
    visit(found[2][at], found[2][at + 1])
  end
  return found[1] == '0' and '' or found[1]
end

function places.rows()
  return scan('results', int(group.first) .. ':*', function(field, record)
    local start, last = string.match(field, '^%d+:(%d+):(%d+)$')
    if start then
      add(start, last, string.match(record, '"missing":%[([%d,]*)%]') or '')
    end
  end)
end

-- Ranges that have failed for good: letters, and those that were struck off.
local function failed(list)
  local from = cursor == '' and 0 or tonumber(cursor)
  local members = call('ZRANGE', execution.key .. ':' .. list, from, from + page - 1)
  for _, member in ipairs(members) do
    local task, start = string.match(member, '^(%d+):(%d+)$')
    local try = task == int(group.first) and call('HGET', execution.key .. ':tries', member)
    if try and string.match(try, '"state":"(%a+)"') == 'failed' then
      add(start, string.match(try, '"last":(%d+)') or int(tonumber(start) + 1))
    end
  end
  return #members == page and int(from + page) or ''
end

function places.letters()
  return failed('letters')
end

function places.discarded()
  return failed('discarded')
end

-- Entries, each with whether somebody holds it.
function places.chunks()
  if not group.has.chunks then
    return ''
  end
  local entries = call('XRANGE', records.streamKey(group, 'c'), cursor == '' and '-' or '(' .. cursor, '+', 'COUNT', page)
  for _, entry in ipairs(entries) do
    local lease = leases.parse(group, 'c', entry)
    add(int(lease.start), int(lease.last), lease.id, lease.replica and int(lease.replica) or '',
      examining.holder(group, 'c', lease.id) and 1 or 0)
  end
  return #entries == page and entries[#entries][1] or ''
end

-- Pending entries that are gone from the stream.
function places.leases()
  if not group.has.chunks then
    return ''
  end
  local pending = call('XPENDING', records.streamKey(group, 'c'), group.pool, cursor == '' and '-' or '(' .. cursor, '+', page)
  for _, one in ipairs(pending) do
    if not leases.read(group, 'c', one[1]) then
      examining.note('lease-of-nothing', one[1] .. ' in ' .. group.lane, function()
        examining.drop(group, 'c', one[1])
      end)
    end
  end
  return #pending == page and pending[#pending][1] or ''
end

function places.later()
  return scan('later', int(group.first) .. ':*', function(field, content)
    local start = string.match(field, ':(%d+)$')
    local member = 'r:' .. group.no .. ':' .. start .. ':' .. execution.id
    add(start, tostring(cjson.decode(content)[1]), call('ZSCORE', PREFIX .. 'due', member) and 1 or 0)
  end)
end

function places.ranges()
  local key = execution.key .. ':ranges:' .. group.no
  local from = cursor == '' and 0 or tonumber(cursor)
  local members = call('ZRANGE', key, from, from + page - 1)
  for _, member in ipairs(members) do
    local start, last = string.match(member, '^(%d+):(%d+):')
    add(start, last, member)
  end
  return #members == page and int(from + page) or ''
end

if not group then
  return examining.reply('', '')
end
local next = places[ARGV[6]]()
finishScript()
return examining.reply(next, examining.seal(execution), unpack(pieces))
