-- Examination of work that came back: an entry is the one that its task's try names, or it is a leftover.
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

local entries = call('XRANGE', records.streamKey(group, 'a'), after == '' and '-' or '(' .. after, '+', 'COUNT', page)
for _, entry in ipairs(entries) do
  local task = int(leases.parse(group, 'a', entry).task)
  if not isCurrent(task, entry[1]) then
    examining.note('entry-of-ended', task .. ' of ' .. execution.id, function()
      examining.drop(group, 'a', entry[1])
    end)
  end
end
return examining.reply(#entries == page and entries[#entries][1] or '')
