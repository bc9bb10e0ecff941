-- Transition give back: leases that were sent to a session and that nobody has taken, go back.
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] session, then the leases, as lib/orders.lua names them
-- Returns   { 'ok' }; without effect for leases that the session does not hold (any more)
-- Invariant It costs them nothing, and is no sign that the worker lives.

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

local session = records.session(ARGV[3])

local function giveBack(ref)
  local parts = splitUnits(ref)
  local kind, id, no = string.match(parts[5] or '', '^([qac])(%d+%-%d+)%.(%d+)%.')
  local execution = kind and records.live(parts[1])
  local group = execution and records.group(execution, no)
  local lease = group and leases.isHeldBy(session, group, kind, id) and leases.read(group, kind, id)
  if lease and orders.refOf(lease, session.no) == ref then
    leases.drop(lease)
    books.hold(session, group, -1)
    leases.giveBack(lease, session.worker, false)
  end
end

for at = 4, session and #ARGV or 0 do
  giveBack(ARGV[at])
end
finishScript()
return { 'ok' }
