-- List held: the leases of a session, for a process that did not hand them out itself.
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] session
-- Returns   { 'ok', the session's number, reference, reference … } (see lib/orders.lua) or { 'SESSION_LOST' }
-- Invariant Changes nothing.

-- @include lib/shard
-- @include lib/records
-- @include lib/journal
-- @include lib/ready
-- @include lib/orders
-- @include lib/books
-- @include lib/leases
-- @include lib/letters

local session = records.session(ARGV[3])
if not session then
  return { 'SESSION_LOST' }
end
local reply = { 'ok', session.no }
for _, lane in ipairs(call('HKEYS', session.key .. ':held')) do
  local no, id = string.match(lane, '^(%d+):(.*)$')
  local execution = records.live(id)
  local group = execution and records.group(execution, no)
  for _, kind in ipairs(group and records.KINDS or {}) do
    orders.eachPending(group, kind, session.id, function(entry)
      local lease = leases.read(group, kind, entry)
      if lease then
        reply[#reply + 1] = orders.refOf(lease, session.no)
      end
    end)
  end
end
return reply
