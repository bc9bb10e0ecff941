-- Transition submit: definitions → executions with work that waits.
--
-- Purpose   Creates up to 1,000 executions, or none.
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] most waiting tasks of a pool, [4] 1: only say whether it would be
--           refused, [5] executions, then per execution:
--           id, key, fingerprint, name, kind, priority, open (0|1), maxFailures, retentionMs (ms), verify (JSON), meta,
--           keepInputs (1 or ''), groups, then its groups as lib/submitting.lua reads them; '' where there is none
-- Returns   { 'ok', id, created (0|1), id, created … }, { 'KEY_CONFLICT', key } or
--           { 'QUEUE_FULL', pool, depth }
-- Invariant Everything is checked before the first write, so a refused call leaves nothing. An execution that is
--           there already, by its key or, in a call that is sent again, by its id, is answered as it was (promise 7).

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

local ARGUMENTS = { 'id', 'key', 'fingerprint', 'name', 'kind', 'priority', 'open', 'maxFailures', 'retentionMs', 'verify',
  'meta', 'keepInputs' }
-- Those of them that are stored as they are; the others are among the first fields.
local HEAD = { 'verify', 'open', 'maxFailures', 'key', 'name', 'kind', 'fingerprint', 'meta' }

local function readSubmission()
  local submission = {}
  for _, name in ipairs(ARGUMENTS) do
    submission[name] = submitting.text()
  end
  submission.groups = submitting.groups(tonumber(submitting.text()))
  return submission
end

-- The id of the execution that this submission already is, or nil; `conflict` when the key means something else.
local function findEarlier(submission)
  if submission.key ~= '' then
    local id = call('HGET', PREFIX .. 'keys', submission.key)
    if id then
      local isSame = call('HGET', PREFIX .. 'exec:' .. id, 'fingerprint') == submission.fingerprint
      return id, not isSame, id == submission.id
    end
  end
  local isHere = call('EXISTS', PREFIX .. 'exec:' .. submission.id) == 1
  return isHere and submission.id or nil, false, isHere
end

local function create(submission)
  local key = PREFIX .. 'exec:' .. submission.id
  local birth = cursors.next()
  local tasks = 0
  for _, group in ipairs(submission.groups) do
    tasks = tasks + group.tasks
  end
  local execution = records.newExecution(submission)
  submitting.mark(execution, submission.groups)
  local fields = records.startFields(execution, #submission.groups)
  for _, value in ipairs({ 'created', int(now), 'birth', int(birth), 'nextTask', int(tasks) }) do
    fields[#fields + 1] = value
  end
  for _, name in ipairs(HEAD) do
    if submission[name] ~= '' then
      fields[#fields + 1] = name
      fields[#fields + 1] = submission[name]
    end
  end
  -- Written with its counts.
  execution.fields = fields
  call('ZADD', PREFIX .. 'executions', int(birth), submission.id)
  call('ZADD', PREFIX .. 'live', int(birth), submission.id)
  if submission.key ~= '' then
    call('HSET', PREFIX .. 'keys', submission.key, submission.id)
  end
  journal.execution(execution, 'pending')
  books.touch(execution)
  submitting.add(execution, submission.groups)
end

submitting.start(5)
local total = tonumber(submitting.text())
local submissions, reply, fresh = {}, { 'ok' }, {}
local named = {}
for at = 1, total do
  local submission = readSubmission()
  submissions[at] = submission
  local earlier, isConflict, isOurs = findEarlier(submission)
  if isConflict then
    return { 'KEY_CONFLICT', submission.key }
  end
  if not earlier and submission.key ~= '' then
    earlier = named[submission.key]
    named[submission.key] = earlier or submission.id
  end
  if not earlier then
    fresh[#fresh + 1] = submission
  end
  reply[#reply + 1] = earlier or submission.id
  reply[#reply + 1] = (earlier and not isOurs) and 0 or 1
end
local pool, depth = submitting.fullPool(fresh, tonumber(ARGV[3]))
if pool then
  return { 'QUEUE_FULL', pool, depth }
end
if ARGV[4] == '1' then
  return reply
end
for _, submission in ipairs(fresh) do
  create(submission)
end
finishScript()
return reply
