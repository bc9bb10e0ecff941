-- Transition drain: asks a live worker to finish and leave.
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] session
-- Returns   { 'ok' } or { 'SESSION_LOST' }
-- Invariant Every later reply to the session says so.

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
call('HSET', session.key, 'state', 'draining')
for _, pool in ipairs(session.pools) do
  call('ZREM', ready.poolKey(pool) .. ':idle', session.id)
end
ready.tell(session.id)
return { 'ok' }
