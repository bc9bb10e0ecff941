-- Checkpoints of one scope: `checkpoint:SCOPE` holds the texts by version and what goes for all of them,
-- `checkpoints:SCOPE` what is told of each without its text.

local function drop(scope)
  call('UNLINK', scope.key, scope.list)
end

-- A scope whose time is over is as if it had never been.
function checkpoints.open(name)
  local scope = { name = name, key = PREFIX .. 'checkpoint:' .. name, list = PREFIX .. 'checkpoints:' .. name }
  local row = call('HMGET', scope.key, 'fence', 'last', 'expiresAt')
  scope.expiresAt = count(row[3])
  scope.isOver = row[3] and scope.expiresAt <= now
  scope.isThere = row[3] and not scope.isOver
  scope.fence = scope.isThere and count(row[1]) or 0
  scope.last = scope.isThere and count(row[2]) or 0
  return scope
end

function checkpoints.dropOver(scope)
  if scope.isOver then
    drop(scope)
  end
end

-- What is told of one: version, fence, size, saved at, label.
function checkpoints.info(version, how)
  return table.concat({ int(version), how.fence, how.size, int(now), how.label }, UNIT)
end

local function remove(scope, infos)
  for _, info in ipairs(infos) do
    call('HDEL', scope.key, string.match(info, '^%d+'))
    call('ZREM', scope.list, info)
  end
  return #infos
end

-- All but the newest ones.
function checkpoints.keep(scope, most)
  return remove(scope, call('ZRANGE', scope.list, 0, -1 - most))
end

function checkpoints.remove(scope, version)
  return remove(scope, call('ZRANGEBYSCORE', scope.list, version, version))
end
