-- Transition edit: priority, tasks removed, added, rewired, ranked, held, or the last edit taken back, of an execution that has
-- not ended.
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] most waiting tasks of a pool, [4] execution, [5] 1: do it, 0: only say what it does,
--           [6] version that it must have ('' for any), [7] name of the edit ('' for none), [8] digest of the edits,
--           [9] most edits to remember, [10] most tasks to tell by number, [11] 1: undo the last edit, and nothing else,
--           [12] priority ('' for none), [13] JSON: remove, hold, unhold (tasks, ascending), rewire ({ task, parents } …), rank
--           ({ task, rank } …), [14] groups to add, then the groups as lib/submitting.lua reads them
-- Returns   { 'ok', version, changes (JSON) } — also for one that was made before — or { 'EXECUTION_NOT_FOUND' },
--           { 'EXECUTION_ENDED', state }, { 'TASK_UNKNOWN', task }, { 'ARRAY', task }, { 'ENDED', task }, { 'RESCUE', task, parent },
--           { 'RESCUES', maxFailures ('' for none), first task and count of each group of rescue tasks … } when these rule it out,
--           { 'CYCLE', tasks (JSON) }, { 'NO_UNDO' }, { 'EDIT_CONFLICT' }, { 'QUEUE_FULL', pool, depth }
-- Invariant It is refused before the first write, and does what its version stands for.

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
-- @include lib/later
-- @include lib/replaying
-- @include lib/whereabouts
-- @include lib/undoing
-- @include lib/moving
-- @include lib/reshaping
-- @include lib/editing
-- @include lib/applying
-- @include lib/takingback

local execution = records.execution(ARGV[4])
if not execution then
  return { 'EXECUTION_NOT_FOUND' }
end
local isApplied, wantedVersion, name = ARGV[5] == '1', ARGV[6], ARGV[7]
if isApplied then
  local version, changes = editing.earlier(execution, name, wantedVersion)
  if version then
    return { 'ok', version, changes }
  end
end
if execution.isEnded then
  return { 'EXECUTION_ENDED', execution.state }
end

-- What is asked; or nil, and a refusal.
local function asked()
  if ARGV[11] == '1' then
    return takingback.edit(execution)
  end
  local edit = cjson.decode(ARGV[13])
  edit.priority, edit.restore, edit.bury = tonumber(ARGV[12]), {}, {}
  submitting.start(14)
  edit.groups = submitting.groups(tonumber(submitting.text()))
  local maxFailures, spans = submitting.ruledOut(execution, edit.groups)
  if maxFailures then
    return nil, { 'RESCUES', maxFailures, unpack(spans) }
  end
  return edit
end

local edit, plan, refusal
edit, refusal = asked()
if edit then
  plan, refusal = editing.plan(execution, edit)
end
if not plan then
  return refusal
end
local version, changes = editing.version(execution, plan, ARGV[8]), editing.changes(execution, plan, tonumber(ARGV[10]))
if isApplied and wantedVersion ~= '' and wantedVersion ~= version then
  return { 'EDIT_CONFLICT' }
end
local pool, depth = editing.fullPool(execution, plan, tonumber(ARGV[3]))
if pool then
  return { 'QUEUE_FULL', pool, depth }
end
if isApplied then
  takingback.remember(execution, plan)
  applying.apply(execution, plan)
  editing.remember(execution, { version = version, changes = changes, name = name }, tonumber(ARGV[9]))
  finishScript()
end
return { 'ok', version, changes }
