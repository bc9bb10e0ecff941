-- Transition limit a pool: how many of its workers get its work, and how many it should have.
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] pool, [4] least workers, [5] most of them ('' for no limit)
-- Returns   { 'ok' }
-- Invariant Of a pool's sessions those stand by that come after the first `max`.

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
-- @include lib/standby

call('SADD', PREFIX .. 'pools', ARGV[3])
call('HSET', ready.poolKey(ARGV[3]), 'min', ARGV[4])
standby.limit(ARGV[3], tonumber(ARGV[5]))
finishScript()
return { 'ok' }
