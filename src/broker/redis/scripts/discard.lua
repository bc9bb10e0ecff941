-- Transition discard: dead letters are struck off the list; their items stay failed.
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] execution, [4] 1: all letters, 0: those named, [5] most letters of one call,
--           [6] where this page begins ('' for the first), then names of letters (fields of `tries`)
-- Returns   { 'ok', items, where the next page begins ('' at the end) } or { 'EXECUTION_NOT_FOUND' }
-- Invariant Counters and states stay as they are.

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
if not execution then
  return { 'EXECUTION_NOT_FOUND' }
end
local chosen, nextPage = letters.choose(execution, {
  isAll = ARGV[4] == '1', page = tonumber(ARGV[5]), from = ARGV[6], names = { unpack(ARGV, 7) },
})
local items = 0
for _, field in ipairs(chosen) do
  local record = letters.read(execution, field)
  if record then
    items = items + letters.items(record)
    if not record.start then
      replaying.forgetInput(execution, record.task)
    end
  end
  letters.discard(execution, field)
end
letters.tidy(execution)
return { 'ok', int(items), nextPage }
