-- Duty verification, second half: writes the coordinator's verdicts.
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, then per verdict: execution, task, start, first item that differs, names of the
--           workers that are not with the majority (JSON; '' when all agree)
-- Returns   { 'ok' }
-- Invariant A verdict on what is judged already changes nothing.

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

for at = 3, #ARGV, 5 do
  local execution = records.live(ARGV[at])
  if execution then
    local group = records.groupOfTask(execution, ARGV[at + 1])
    verification.judge(group, tonumber(ARGV[at + 2]), ARGV[at + 3], ARGV[at + 4])
  end
end
finishScript()
return { 'ok' }
