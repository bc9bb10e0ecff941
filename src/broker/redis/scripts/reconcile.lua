-- Transition reconcile: what a session holds → what its client knows of.
--
-- A reply may be lost with its connection. The leases that it granted are then held by a session that lives and has
-- never heard of them: nobody would run them while it lives. Told what the client knows, this hands the others back.
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] session, then the leases that the client knows, as lib/orders.lua names them
-- Returns   { 'ok', leases handed back, places (from 1) of known leases that the session does not hold } or
--           { 'SESSION_LOST' }
-- Invariant Idempotent; what is handed back costs nothing.

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
if not session then
  return { 'SESSION_LOST' }
end
records.seen(session)
local keep = {}
for at = 4, #ARGV do
  keep[ARGV[at]] = true
end
local returned, held = leases.giveBackAll(session, false, keep)
local lost = {}
for at = 4, #ARGV do
  if not held[ARGV[at]] then
    lost[#lost + 1] = at - 3
  end
end
finishScript()
return { 'ok', returned, lost }
