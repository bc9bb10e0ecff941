-- Examination of keys of locks, values and checkpoints: each is in its list, ends in time, and holds together.
--
-- KEYS[1]   the shard's `meta`
-- ARGV      [1] now (ms or ''), [2] random, [3] 1: mend, then such keys of the shard, as SCAN tells them
-- Returns   { 'ok', findings (lib/examining.lua) }
-- Invariant What is whole and named by its lists is left as it is.

-- @include lib/shard
-- @include lib/examining
-- @include lib/state
-- @include lib/locks

local TYPES = { lock = 'hash', line = 'zset', patience = 'zset', callers = 'hash', value = 'hash', checkpoint = 'hash',
  checkpoints = 'zset', writes = 'hash', ['writes-before'] = 'hash', saves = 'hash', ['saves-before'] = 'hash' }
local checks = {}

-- `state-purge` finds out itself when it is really over.
local function checkEnd(kind, name, key)
  if not call('ZSCORE', PREFIX .. 'state-ends', kind .. ':' .. name) then
    examining.note('state-endless', key, function()
      state.endsAt(kind, name, now)
    end)
  end
end

local function checkListed(list, name, key)
  if not call('ZSCORE', PREFIX .. list, name) then
    examining.note('state-unlisted', key, function()
      call('ZADD', PREFIX .. list, 0, name)
    end)
  end
end

local function checkFields(key, ...)
  for _, value in ipairs({ ... }) do
    if call('HEXISTS', key, value) == 0 then
      examining.note('state-broken', key, function()
        call('UNLINK', key)
      end)
      return false
    end
  end
  return true
end

function checks.lock(name, key)
  if checkFields(key, 'owner', 'token', 'expiresAt', 'acquiredAt') then
    checkListed('locks', name, key)
    checkEnd('l', name, key)
  end
end

-- Each in `owners` is in the other set, too; else it would stand in line for ever, or nowhere.
local function checkLine(name, key, owners, other)
  local lock = locks.open(name)
  for _, owner in ipairs(owners) do
    if not call('ZSCORE', lock[other], owner) then
      examining.note('line-broken', key, function()
        locks.leave(lock, owner)
      end)
    end
  end
  checkEnd('l', name, key)
end

function checks.line(name, key)
  checkLine(name, key, call('ZRANGE', key, 0, -1), 'patience')
end

function checks.patience(name, key)
  checkLine(name, key, call('ZRANGE', key, 0, -1), 'line')
end

function checks.callers(name, key)
  checkLine(name, key, call('HKEYS', key), 'line')
end

function checks.value(name, key)
  if checkFields(key, 'text', 'version', 'updatedAt', 'expiresAt') then
    checkListed('values', name, key)
    if call('HGET', key, 'expiresAt') ~= '' then
      checkEnd('v', name, key)
    end
  end
end

function checks.checkpoint(name, key)
  if checkFields(key, 'fence', 'last', 'expiresAt') then
    checkEnd('c', name, key)
  end
end

function checks.checkpoints(name, key)
  for _, info in ipairs(call('ZRANGE', key, 0, -1)) do
    if call('HEXISTS', PREFIX .. 'checkpoint:' .. name, string.match(info, '^%d+') or '') == 0 then
      examining.note('checkpoint-gone', key, function()
        call('ZREM', key, info)
      end)
    end
  end
end

function checks.writes(name, key)
  checkEnd('w', name, key)
end

function checks.saves(name, key)
  checkEnd('s', name, key)
end

checks['writes-before'], checks['saves-before'] = checks.writes, checks.saves

for at = 4, #ARGV do
  local key = ARGV[at]
  local kind, name = string.match(string.sub(key, #PREFIX + 1), '^([%l-]+):(.*)$')
  local found = call('TYPE', key)['ok']
  if found == TYPES[kind] then
    checks[kind](name, key)
  elseif found ~= 'none' then
    examining.note('strange-key', key)
  end
end
return examining.reply()
