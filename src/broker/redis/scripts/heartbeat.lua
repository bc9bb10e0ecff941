-- Transition heartbeat: a session lives, and hears what it must do.
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] session, [4] 1: a worker says so
-- Returns   { 'ok', draining (0|1), leases to stop } or { 'SESSION_LOST' }
-- Invariant One heartbeat renews all leases of the worker (promise 4): nothing is kept per lease.

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

local session = records.session(ARGV[3])
if not session then
  return { 'SESSION_LOST' }
end
if ARGV[4] == '1' then
  records.seen(session)
end
return { 'ok', session.isDraining and 1 or 0, orders.take(session) }
