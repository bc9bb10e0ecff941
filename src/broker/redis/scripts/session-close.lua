-- Transition close a session: the worker left in order, or somebody knows that it died.
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] session, [4] left|lost, [5] only if it has been silent for this long (ms)
-- Returns   { 'ok' }; { 'HEARD' } where it was heard of since; without effect when the session is gone already
-- Invariant The session's leases end in the same step: handed back (`left`) or lost.

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
-- @include lib/ending

local session = records.session(ARGV[3])
if session then
  local seenAt = tonumber(call('ZSCORE', PREFIX .. 'sessions', session.id) or '0')
  if now - seenAt < tonumber(ARGV[5]) then
    return { 'HEARD' }
  end
  ending.endSession(session, ARGV[4])
end
finishScript()
return { 'ok' }
