-- What an examination finds (holdfast doctor), and the looks that several of its scripts share.
--
-- ARGV[3] is 1 when what is found is to be mended, in the same step as it is found. A finding is told as its
-- name, how often, how often it was mended, and where it was first.

local isRepair = ARGV[3] == '1'
local examining = { names = {}, found = {} }

-- `mend` (optional) sets it right; `times`: how often, when it is more than once.
function examining.note(name, where, mend, times)
  local one = examining.found[name]
  if one == nil then
    one = { count = 0, mended = 0, where = where }
    examining.found[name] = one
    examining.names[#examining.names + 1] = name
  end
  one.count = one.count + (times or 1)
  if isRepair and mend then
    one.mended = one.mended + (mend() or times or 1)
  end
end

-- Writes what was mended. The reply: 'ok', the findings, then what the script has to say besides.
function examining.reply(...)
  finishScript()
  local findings = {}
  for _, name in ipairs(examining.names) do
    local one = examining.found[name]
    for _, value in ipairs({ name, one.count, one.mended, one.where }) do
      findings[#findings + 1] = value
    end
  end
  return { 'ok', findings, ... }
end

local ITEM_STATES = { 'blocked', 'scheduled', 'queued', 'running', 'completed', 'failed', 'skipped' }

-- A text that is another one whenever the execution has moved: what was counted in several steps between two
-- equal ones was counted at one moment.
function examining.seal(execution)
  local last = call('XREVRANGE', execution.key .. ':events', '+', '-', 'COUNT', 1)[1]
  local row = call('HMGET', execution.key, 'state', 'nextTask', 'groups', 'verifying', unpack(ITEM_STATES))
  local parts = { last and last[1] or '' }
  for at = 1, 4 + #ITEM_STATES do
    parts[at + 1] = row[at] or ''
  end
  return table.concat(parts, ' ')
end

local function isWhole(group, kind)
  local key = streamKey(group, kind)
  if call('EXISTS', key) == 0 then
    return false
  end
  for _, info in ipairs(call('XINFO', 'GROUPS', key)) do
    for at = 1, #info, 2 do
      if info[at] == 'name' and info[at + 1] == group.pool then
        return true
      end
    end
  end
  return false
end

-- A stream that is not there, or has lost its consumer group, breaks every transition that reads it. It is left
-- out of sight, or made again: what was leased is then handed out once more, and the old leases are refused.
local function lookAtStream(group, kind)
  local name = STREAMS[kind]
  if group.has[name] == isWhole(group, kind) then
    return
  end
  local wasKnown = group.has[name]
  group.has[name] = false
  examining.note('stream-broken', name .. ' of ' .. group.lane, function()
    if wasKnown then
      call('XGROUP', 'CREATE', streamKey(group, kind), group.pool, '0', 'MKSTREAM')
    elseif not isWhole(group, kind) then
      call('XGROUP', 'CREATE', streamKey(group, kind), group.pool, '0')
    end
    call('HSET', group.key, name, '1')
    group.has[name] = true
  end)
end

-- A group of a live execution with streams that can be read; nil when its hash is gone.
function examining.group(execution, no)
  local group = records.group(execution, no)
  if not (group.pool and group.first and group.count and group.requires) then
    return nil
  end
  if not group.isExamined then
    group.isExamined = true
    for _, kind in ipairs(KINDS) do
      if group.has[STREAMS[kind]] or call('EXISTS', streamKey(group, kind)) == 1 then
        lookAtStream(group, kind)
      end
    end
  end
  return group
end

-- The consumer that an entry is delivered to, or nil.
function examining.holder(group, kind, id)
  local found = group.has[STREAMS[kind]] and call('XPENDING', streamKey(group, kind), group.pool, id, id, 1)[1]
  return found and found[2]
end

-- An entry that should not be there goes, with what its holder is thought to hold.
function examining.drop(group, kind, id)
  local session = records.session(examining.holder(group, kind, id) or '')
  if call('XACK', streamKey(group, kind), group.pool, id) == 1 and session then
    books.hold(session, group, -1)
  end
  call('XDEL', streamKey(group, kind), id)
end
