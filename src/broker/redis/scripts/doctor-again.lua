-- Examination of work that came back: an entry is the one that its task's try names, or it is a leftover. In a ranked group
-- it is leased, or has its place among the lanes.
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] 1: mend, [4] execution, [5] group, [6] entry to begin after ('' for the first),
--           [7] page
-- Returns   { 'ok', findings (lib/examining.lua), the entry to go on after ('' at the end) }
-- Invariant A task has at most one entry that is handed out.

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
if not (group and group.has.again) then
  return examining.reply('')
end
local after, page = ARGV[6], tonumber(ARGV[7])

local function isCurrent(task, id)
  local try = call('HGET', execution.key .. ':tries', task) or ''
  return string.match(try, '"state":"(%a+)"') == 'queued' and string.match(try, '"entry":"a([%d-]+)"') == id
    and call('HEXISTS', execution.key .. ':results', task) == 0
end

local lanes = group.isRanked and ready.lanesKey(execution, group.pool, ready.bucketOf(group))
local isOffered = lanes and not (group.notBefore or execution.state == 'paused')

-- A task without a place would never be handed out, one with a place that is leased a second time.
local function checkPlace(task, id)
  local isPlaced = call('ZSCORE', lanes, ready.memberOf(group, task, id))
  local isDue = isOffered and not examining.holder(group, 'a', id)
  if isDue and not isPlaced then
    examining.note('not-offered', task .. ' of ' .. execution.id, function()
      ready.rank(group, task, id)
      ready.offer(group, 1)
    end)
  elseif isPlaced and not isDue then
    examining.note('offered-without-work', task .. ' of ' .. execution.id, function()
      ready.unrank(group, task, id)
    end)
  end
end

local entries = call('XRANGE', records.streamKey(group, 'a'), after == '' and '-' or '(' .. after, '+', 'COUNT', page)
for _, entry in ipairs(entries) do
  local task = int(leases.parse(group, 'a', entry).task)
  if not isCurrent(task, entry[1]) then
    examining.note('entry-of-ended', task .. ' of ' .. execution.id, function()
      ready.unrank(group, task, entry[1])
      examining.drop(group, 'a', entry[1])
    end)
  elseif lanes then
    checkPlace(task, entry[1])
  end
end
return examining.reply(#entries == page and entries[#entries][1] or '')
