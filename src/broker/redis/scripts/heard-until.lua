-- Heard until: the cursor below which this shard will write no event any more.
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random
-- Returns   { 'ok', cursor }
-- Invariant Cursors ascend: every later event has at least this one.

-- @include lib/shard

local last = count(call('HGET', META, 'cursor'))
return { 'ok', int(math.max((now - EPOCH_MS) * 4096, last)) }
