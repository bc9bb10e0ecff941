-- Transition pause or resume a pool, or all of them: whether their work is handed out (promise 6).
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] pool, '*': every pool, those to come included, [4] 1: pause, 0: resume, [5] who
--           wants it ('' for nobody named)
-- Returns   { 'ok', slots of all live sessions ('' for one pool) }
-- Invariant Claims read this before anything else of the pool. Who paused it first is remembered.

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

local pool = ARGV[3]
local isAll = pool == ready.ALL_POOLS

local function callIdle(name)
  local key = ready.poolKey(name) .. ':idle'
  for _, id in ipairs(call('ZRANGE', key, 0, -1)) do
    call('ZREM', key, id)
    ready.tell(id)
  end
end

if not isAll then
  call('SADD', PREFIX .. 'pools', pool)
end
if ARGV[4] == '1' then
  call('HSETNX', PREFIX .. 'paused', pool, int(now) .. UNIT .. ARGV[5])
else
  call('HDEL', PREFIX .. 'paused', pool)
  for _, name in ipairs(isAll and call('SMEMBERS', PREFIX .. 'pools') or { pool }) do
    callIdle(name)
  end
end
local slots = isAll and 0 or ''
for _, id in ipairs(isAll and call('ZRANGE', PREFIX .. 'sessions', 0, -1) or {}) do
  slots = slots + count(call('HGET', PREFIX .. 'session:' .. id, 'slots'))
end
return { 'ok', slots }
