-- Duty promote: what was delayed, or waits for its next try, is ready when its time has come.
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] most entries
-- Returns   { 'ok', entries handled, 1 when more are due, ms until the next one falls due ('' for never) }
-- Invariant An entry leaves `due` in the step that makes its work ready.

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
-- @include lib/claiming

local promote = {}

function promote.g(execution, no)
  local group = records.group(execution, no)
  call('HDEL', group.key, 'notBefore')
  group.notBefore = nil
  books.flush()
  local scheduled = count(call('HGET', group.key, 'scheduled'))
  -- Work of an array that waits for its next try has a time of its own; none can exist before the group has started.
  books.move(group, 'scheduled', 'queued', scheduled)
  if scheduled > 0 then
    ready.offer(group, scheduled)
  end
end

local function takeLater(execution, field)
  local content = call('HGET', execution.key .. ':later', field)
  call('HDEL', execution.key .. ':later', field)
  return content and cjson.decode(content)
end

function promote.t(execution, no, task)
  local group = records.group(execution, no)
  local content = takeLater(execution, task)
  if not content then
    return
  end
  local lease = { group = group, task = tonumber(task), input = content[5],
    parents = content[6] ~= '' and content[6] or nil }
  local tries = { attempt = tonumber(content[2]), failures = tonumber(content[3]), losses = tonumber(content[4]) }
  leases.renote(lease, { state = 'queued', entry = leases.enqueueAgain(lease, tries) })
  books.move(group, 'scheduled', 'queued', 1)
  journal.tasks(execution, { state = 'queued', text = task, reason = 'due' })
  ready.offer(group, 1)
end

function promote.r(execution, no, start)
  local group = records.group(execution, no)
  local content = takeLater(execution, int(group.first) .. ':' .. start)
  if not content then
    return
  end
  local from, to = tonumber(start), tonumber(content[1])
  local tries = { attempt = tonumber(content[2]), failures = tonumber(content[3]), losses = tonumber(content[4]),
    isCareful = content[5] == '1' }
  local lease = { group = group, task = group.first, start = from, last = to }
  ranges.enqueue(group, from, to, tries)
  leases.renote(lease, { state = 'queued' })
  books.move(group, 'scheduled', 'queued', to - from)
  journal.tasks(execution, { state = 'queued', text = ranges.textOf(lease, from, to), reason = 'due' })
  ready.offer(group, 1)
end

local members = call('ZRANGEBYSCORE', PREFIX .. 'due', '-inf', int(now), 'LIMIT', 0, tonumber(ARGV[3]))
for _, member in ipairs(members) do
  call('ZREM', PREFIX .. 'due', member)
  local kind, no, what, id = string.match(member, '^(%a):(%d+):(%d*):(.*)$')
  local execution = records.live(id)
  if execution then
    promote[kind](execution, no, what)
  end
end
finishScript()
local first = call('ZRANGE', PREFIX .. 'due', 0, 0, 'WITHSCORES')
local nextAt = first[2] and tonumber(first[2])
return { 'ok', #members, (nextAt and nextAt <= now) and 1 or 0, nextAt and int(nextAt - now) or '' }
