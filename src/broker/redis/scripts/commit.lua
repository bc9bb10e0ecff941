-- Transition commit: outcomes of a session's leases → results, retries, counters, dependents, events; then a claim.
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] session, [4] most leases, [5] 1: call the session when there is work, 2: no
--           longer, [6] room for texts (bytes), [7] ageing (ms), [8] the process that asks, [9] lane whose spec the caller has,
--           [10] batches, [11] 1: the worker speaks, so it lives (0: somebody in its place), then the batches as lib/outcomes.lua
--           reads them
-- Returns   { 'ok', the session's number, draining (0|1), leases to stop, lanes, verdicts: per batch 1 (all accepted), 0, or one digit per
--           outcome as text } or { 'SESSION_LOST' }, with the outcomes counted as refused
-- Invariant An outcome counts only while its lease is held by the session that sends it (promise 1). Each outcome
--           changes everything it changes in this one step (2). One that was counted before is accepted again
--           without effect (7); any other is refused.

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
-- @include lib/submitting
-- @include lib/outcomes

outcomes.start(12)
local session = records.session(ARGV[3])
if not session then
  for _ = 1, tonumber(ARGV[10]) do
    outcomes.refuseBatch()
  end
  finishScript()
  return { 'SESSION_LOST' }
end
if ARGV[11] == '1' then
  records.seen(session)
  call('HSET', session.key, 'lastCommitAt', int(now))
end
local verdicts = {}
for at = 1, tonumber(ARGV[10]) do
  verdicts[at] = outcomes.commitBatch(session)
end
if outcomes.hasFailures or books.callsRescue then
  -- Executions that reach their `maxFailures` end before more of them is claimed, and rescue tasks can be claimed at once.
  books.settle()
end
local stops = orders.take(session)
local lanes = claiming.claim(session, {
  max = tonumber(ARGV[4]), waiting = #stops == 0 and ARGV[5] or '2', room = tonumber(ARGV[6]),
  ageingMs = tonumber(ARGV[7]), process = ARGV[8], knownLane = ARGV[9],
})
finishScript()
return { 'ok', session.no, session.isDraining and 1 or 0, stops, lanes, verdicts }
