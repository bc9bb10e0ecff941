-- What an examination finds (holdfast doctor), and the looks that several of its scripts share.
--
-- ARGV[3] is 1 when what is found is to be mended, in the same step as it is found. A finding is told as its
-- name, how often, how often it was mended, and where it was first.

eachCall(function()
  examining.isRepair = ARGV[3] == '1'
  examining.names = {}
  examining.found = {}
  examining.tellsStreams = false
end)

-- `mend` (optional) sets it right; `times`: how often, when it is more than once.
function examining.note(name, where, mend, times)
  local one = examining.found[name]
  if one == nil then
    one = { count = 0, mended = 0, where = where }
    examining.found[name] = one
    examining.names[#examining.names + 1] = name
  end
  one.count = one.count + (times or 1)
  if examining.isRepair and mend then
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

examining.STATES = { 'blocked', 'scheduled', 'queued', 'running', 'completed', 'failed', 'skipped' }

-- A text that is another one whenever the execution has moved: what was counted in several steps between two
-- equal ones was counted at one moment.
function examining.seal(execution)
  local last = call('XREVRANGE', execution.key .. ':events', '+', '-', 'COUNT', 1)[1]
  local row = call('HMGET', execution.key, 'state', 'nextTask', 'groups', 'verifying', unpack(examining.STATES))
  local parts = { last and last[1] or '' }
  for at = 1, 4 + #examining.STATES do
    parts[at + 1] = row[at] or ''
  end
  return table.concat(parts, ' ')
end

local function isWhole(group, kind)
  local key = records.streamKey(group, kind)
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

local STREAM_PAGE = 1000

-- A new consumer group would hand out what was answered and is still in the stream.
local function dropAnswered(group)
  local key, from = records.streamKey(group, 'q'), '-'
  repeat
    local page = call('XRANGE', key, from, '+', 'COUNT', STREAM_PAGE)
    for _, entry in ipairs(page) do
      if call('HEXISTS', group.execution.key .. ':results', string.match(entry[1], '^%d+')) == 1 then
        call('XDEL', key, entry[1])
      end
    end
    from = #page > 0 and '(' .. page[#page][1]
  until #page < STREAM_PAGE
end

-- A stream that is not there, or has lost its consumer group, breaks every transition that reads it. It is left
-- out of sight; the script that says so makes it again: what was leased is then handed out once more, and the
-- old leases are refused.
local function lookAtStream(group, kind)
  local name = records.STREAMS[kind]
  if group.has[name] == isWhole(group, kind) then
    return
  end
  local wasKnown = group.has[name]
  group.has[name] = false
  if not examining.tellsStreams then
    return
  end
  examining.note('stream-broken', name .. ' of ' .. group.lane, function()
    if wasKnown then
      call('XGROUP', 'CREATE', records.streamKey(group, kind), group.pool, '0', 'MKSTREAM')
      if kind == 'q' then
        dropAnswered(group)
      end
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
    for _, kind in ipairs(records.KINDS) do
      if group.has[records.STREAMS[kind]] or call('EXISTS', records.streamKey(group, kind)) == 1 then
        lookAtStream(group, kind)
      end
    end
  end
  return group
end

-- The consumer that an entry is delivered to, or nil.
function examining.holder(group, kind, id)
  local found = group.has[records.STREAMS[kind]] and call('XPENDING', records.streamKey(group, kind), group.pool, id, id, 1)[1]
  return found and found[2]
end

-- An entry that should not be there goes, with what its holder is thought to hold.
function examining.drop(group, kind, id)
  local session = records.session(examining.holder(group, kind, id) or '')
  if call('XACK', records.streamKey(group, kind), group.pool, id) == 1 and session then
    books.hold(session, group, -1)
  end
  call('XDEL', records.streamKey(group, kind), id)
end
