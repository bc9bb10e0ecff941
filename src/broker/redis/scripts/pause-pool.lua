-- Transition pause or resume a pool: whether its work is handed out (promise 6).
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] pool, [4] 1: pause, 0: resume
-- Returns   { 'ok' }
-- Invariant Claims read this before anything else of the pool.

-- @include lib/shard
-- @include lib/records
-- @include lib/journal
-- @include lib/ready
-- @include lib/orders
-- @include lib/books
-- @include lib/leases
-- @include lib/ranges
-- @include lib/dependents
-- @include lib/verification

call('SADD', PREFIX .. 'pools', ARGV[3])
call('HSET', ready.poolKey(ARGV[3]), 'paused', ARGV[4])
if ARGV[4] == '0' then
  for _, id in ipairs(call('ZRANGE', ready.poolKey(ARGV[3]) .. ':idle', 0, -1)) do
    call('ZREM', ready.poolKey(ARGV[3]) .. ':idle', id)
    ready.tell(id)
  end
end
return { 'ok' }
