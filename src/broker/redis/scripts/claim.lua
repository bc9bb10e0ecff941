-- Transition claim: ready work → leases of one session.
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] session, [4] most leases, [5] 1: call the session when there is work, 2: no
--           longer, [6] 1: the worker speaks, so it lives (0: its broker asks again for it), [7] room for texts (bytes),
--           [8] ageing (ms), [9] the process that asks, [10] lane whose spec the caller has
-- Returns   { 'ok', the session's number, draining (0|1), leases to stop, lanes (see lib/claiming.lua) } or { 'SESSION_LOST' }
-- Invariant A task is either ready or leased, never both; each lease gets a token that was never given out before.

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
if ARGV[6] == '1' then
  records.seen(session)
end
local stops = orders.take(session)
local lanes = claiming.claim(session, {
  max = tonumber(ARGV[4]), waiting = #stops == 0 and ARGV[5] or '2', room = tonumber(ARGV[7]), ageingMs = tonumber(ARGV[8]),
  process = ARGV[9], knownLane = ARGV[10],
})
finishScript()
return { 'ok', session.no, session.isDraining and 1 or 0, stops, lanes }
