-- Transition retry: dead letters are queued again, and what was skipped because of them waits again.
--
-- Of many letters a page is replayed per call; the first one makes the execution run again.
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] execution, [4] 1: all letters, 0: those named, [5] most letters of one call,
--           [6] where this page begins ('' for the first), [7] time of the first page (ms since 1970, '' in the first),
--           [8] most waiting tasks of a pool, then names of letters (fields of `tries`)
-- Returns   { 'ok', items that were dead, where the next page begins ('' at the end), now (ms since 1970) },
--           { 'EXECUTION_NOT_FOUND' }, { 'EXECUTION_CANCELLED' } or { 'QUEUE_FULL', pool, depth }
-- Invariant It is refused as a whole, before the first write of the first page.

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
-- @include lib/later
-- @include lib/replaying

local execution = records.execution(ARGV[3])
if not execution or call('HGET', execution.key, 'purged') then
  return { 'EXECUTION_NOT_FOUND' }
elseif execution.state == 'cancelled' then
  return { 'EXECUTION_CANCELLED' }
end
local isFirst = ARGV[6] == ''
local begunAt = ARGV[7] == '' and now or tonumber(ARGV[7])
local chosen, nextPage = letters.choose(execution, {
  isAll = ARGV[4] == '1', page = tonumber(ARGV[5]), from = ARGV[6], names = { unpack(ARGV, 9) },
})
local found = {}
for _, field in ipairs(chosen) do
  local record = letters.read(execution, field)
  if record and record.at <= begunAt and (record.start or replaying.inputOf(execution, record.task)) then
    found[#found + 1] = { field = field, record = record }
  end
end
if #found == 0 then
  return { 'ok', 0, nextPage, int(now) }
end
local pool, depth
if isFirst then
  pool, depth = replaying.fullPool(execution, { letters = found, hasMore = nextPage ~= '', limit = tonumber(ARGV[8]) })
end
if pool then
  return { 'QUEUE_FULL', pool, depth }
end
replaying.reopen(execution, 'replayed')
local items, tasks = 0, {}
for at, letter in ipairs(found) do
  replaying.letter(execution, letter.field, letter.record)
  items = items + letters.items(letter.record)
  tasks[at] = letter.record.task
end
replaying.revive(execution, tasks)
replaying.forgive(execution)
letters.tidy(execution)
finishScript()
return { 'ok', int(items), nextPage, int(now) }
