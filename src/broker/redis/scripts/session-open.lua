-- Transition open a session: a worker's life begins.
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] session, [4] profile (JSON), [5] worker, [6] pools, [7] capabilities (each
--           between separators), [8] slots, [9] 1: this shard tells of sessions,
--           [10] 1: a server speaks for the worker, [11] its number in the first shard ('' in that one)
-- Returns   { 'ok', the session's number }
-- Invariant A call that is sent again changes nothing.

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

local key = PREFIX .. 'session:' .. ARGV[3]
if call('EXISTS', key) == 0 then
  local no = call('HINCRBY', META, 'session', 1)
  call('HSET', key, 'no', no, 'profile', ARGV[4], 'worker', ARGV[5], 'pools', ARGV[6], 'capabilities', ARGV[7],
    'slots', ARGV[8], 'state', 'live', 'openedAt', int(now), 'tells', ARGV[9],
    'hosted', ARGV[10])
  call('ZADD', PREFIX .. 'sessions', int(now), ARGV[3])
  call('ZADD', PREFIX .. 'opened', no, ARGV[3])
  for _, pool in ipairs(splitUnits(ARGV[6])) do
    call('SADD', PREFIX .. 'pools', pool)
    call('HINCRBY', ready.poolKey(pool), 'slots', tonumber(ARGV[8]))
    call('HINCRBY', ready.poolKey(pool), 'sessions', 1)
    standby.join(pool, ARGV[3], ARGV[11] == '' and no or ARGV[11])
  end
  if ARGV[9] == '1' then
    journal.session(ARGV[3], ARGV[5], 'opened')
  end
end
finishScript()
return { 'ok', call('HGET', key, 'no') }
