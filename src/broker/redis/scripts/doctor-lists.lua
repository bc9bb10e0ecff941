-- Examination of the shard's lists: each member stands for something that is there, in the state that the list is for.
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] 1: mend, [4] list, [5] cursor, [6] page
-- Returns   { 'ok', findings (lib/examining.lua), next cursor ('' at the end), members looked at }
-- Invariant Only the lists are changed, never what they name.

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
-- @include lib/examining

local key = PREFIX .. ARGV[4]
local checks = {}

local function isExecution(id)
  return call('HEXISTS', PREFIX .. 'exec:' .. id, 'state') == 1
end

local function unlist(name, id)
  return function()
    call('ZREM', PREFIX .. name, id)
  end
end

local function enlist(name, score, id)
  return function()
    call('ZADD', PREFIX .. name, int(score), id)
  end
end

-- Live ones are in `live`, ended ones in `purge`.
local function checkLists(id, row)
  local isEnded = row[2] ~= false
  local isLive = call('ZSCORE', PREFIX .. 'live', id) ~= false
  local isKept = call('ZSCORE', PREFIX .. 'purge', id) ~= false
  if isEnded == isLive then
    examining.note(isEnded and 'ended-among-live' or 'live-unlisted', id,
      isEnded and unlist('live', id) or enlist('live', count(row[3]), id))
  end
  if isEnded ~= isKept then
    examining.note(isEnded and 'ended-never-purged' or 'live-to-be-purged', id,
      isEnded and enlist('purge', count(row[2]) + count(row[4]), id) or unlist('purge', id))
  end
end

local function hasLetters(id)
  return call('EXISTS', PREFIX .. 'exec:' .. id .. ':letters') == 1
end

function checks.executions(id)
  local row = call('HMGET', PREFIX .. 'exec:' .. id, 'state', 'ended', 'birth', 'retentionMs')
  if row[1] then
    checkLists(id, row)
    if hasLetters(id) and not call('ZSCORE', PREFIX .. 'dead', id) then
      examining.note('letters-unlisted', id, enlist('dead', count(row[3]), id))
    end
  else
    examining.note('execution-gone', id, unlist('executions', id))
  end
end

function checks.dead(id)
  if not (isExecution(id) and hasLetters(id)) then
    examining.note('letters-gone', id, unlist('dead', id))
  end
end

function checks.live(id)
  if not isExecution(id) then
    examining.note('execution-gone', id, unlist('live', id))
  end
end

function checks.purge(id)
  if not isExecution(id) then
    examining.note('execution-gone', id, unlist('purge', id))
  end
end

function checks.keys(submitKey, id)
  if not isExecution(id) then
    examining.note('key-gone', submitKey, function()
      call('HDEL', key, submitKey)
    end)
  end
end

local function isTimed(execution, kind, no, what)
  local group = examining.group(execution, no)
  if not group then
    return true
  elseif kind == 'g' then
    return group.notBefore
  end
  local field = kind == 't' and what or int(group.first) .. ':' .. what
  return call('HEXISTS', execution.key .. ':later', field) == 1
end

-- Timers of what has ended are let go when they fall due.
function checks.due(member)
  local kind, no, what, id = string.match(member, '^([gtr]):(%d+):(%d*):(.*)$')
  local execution = id and records.live(id)
  if not kind or (execution and not isTimed(execution, kind, no, what)) then
    examining.note('timer-for-nothing', member, unlist('due', member))
  end
end

function checks.verifying(member)
  local no, start, id = string.match(member, '^(%d+):(%d+):(.*)$')
  local execution = id and records.live(id)
  local group = execution and examining.group(execution, no)
  if not (group and verification.read(execution, int(group.first) .. ':' .. start)) then
    examining.note('verification-gone', member, unlist('verifying', member))
  end
end

-- Lanes in `held` in which nothing of the session is pending.
local function checkHeld(session)
  for _, lane in ipairs(call('HKEYS', session.key .. ':held')) do
    local no, id = string.match(lane, '^(%d+):(.*)$')
    local execution = records.live(id)
    local group = execution and examining.group(execution, no)
    local held = 0
    for _, kind in ipairs(group and records.KINDS or {}) do
      if group.has[records.STREAMS[kind]] then
        held = held + #call('XPENDING', records.streamKey(group, kind), group.pool, '-', '+', 1, session.id)
      end
    end
    if held == 0 then
      examining.note('held-wrong', session.id .. ' in ' .. lane, function()
        call('HDEL', session.key .. ':held', lane)
      end)
    end
  end
end

function checks.sessions(id)
  local session = records.session(id)
  if session then
    checkHeld(session)
    if not call('ZSCORE', PREFIX .. 'opened', id) then
      examining.note('session-unlisted', id, enlist('opened', tonumber(session.no), id))
    end
  else
    examining.note('session-gone', id, unlist('sessions', id))
  end
end

-- One that `sessions` names too is told of there.
function checks.opened(id)
  if not (records.session(id) or call('ZSCORE', PREFIX .. 'sessions', id)) then
    examining.note('session-gone', id, unlist('opened', id))
  end
end

checks['ended-sessions'] = function(id)
  if call('EXISTS', PREFIX .. 'session:' .. id) == 0 then
    examining.note('session-gone', id, unlist('ended-sessions', id))
  end
end

function checks.unheard(id)
  if not call('ZSCORE', PREFIX .. 'sessions', id) then
    examining.note('unheard-gone', id, function()
      call('HDEL', key, id)
    end)
  end
end

function checks.locks(name)
  if call('EXISTS', PREFIX .. 'lock:' .. name) == 0 then
    examining.note('state-gone', name, unlist('locks', name))
  end
end

function checks.values(name)
  if call('EXISTS', PREFIX .. 'value:' .. name) == 0 then
    examining.note('state-gone', name, unlist('values', name))
  end
end

local SCANS = { keys = 'HSCAN', unheard = 'HSCAN' }
local found = call(SCANS[ARGV[4]] or 'ZSCAN', key, ARGV[5], 'COUNT', tonumber(ARGV[6]))
for at = 1, #found[2], 2 do
  checks[ARGV[4]](found[2][at], found[2][at + 1])
end
return examining.reply(found[1] == '0' and '' or found[1], #found[2] / 2)
