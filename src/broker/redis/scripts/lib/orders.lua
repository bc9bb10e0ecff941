-- Orders to a worker: stop these leases, drain. Kept until the worker reports the lease or was told
-- often enough; every reply to the session carries them, and it is called on its channel at once.

local MAX_TELLINGS = 20

-- The fencing token of a lease: where its stream entry is, and who holds it.
function orders.tokenOf(lease, sessionNo)
  local token = lease.kind .. lease.id .. '.' .. lease.group.no .. '.' .. int(lease.attempt) .. '.' .. sessionNo
  if lease.last then
    token = token .. '.' .. int(lease.last)
  end
  return token
end

-- What a worker needs to name the lease: execution, task, start, replica, token.
local function refOf(lease, sessionNo)
  return table.concat({
    lease.group.execution.id,
    int(lease.task),
    lease.start and int(lease.start) or '',
    lease.replica and int(lease.replica) or '',
    orders.tokenOf(lease, sessionNo),
  }, UNIT)
end

orders.refOf = refOf

-- Tells the session to stop a lease that it no longer holds.
function orders.stop(session, lease)
  call('HSET', session.key .. ':orders', refOf(lease, session.no), 0)
  session.orders = call('HINCRBY', session.key, 'orders', 1)
  ready.tell(session.id)
end

-- The session has reported the lease: it need not be told any more.
function orders.forget(session, ref)
  if session.orders > 0 and call('HDEL', session.key .. ':orders', ref) == 1 then
    session.orders = call('HINCRBY', session.key, 'orders', -1)
  end
end

-- Leases to stop, each as `refOf` writes it; told once more.
function orders.take(session)
  if session.orders == 0 then
    return {}
  end
  local key = session.key .. ':orders'
  local refs = call('HKEYS', key)
  for _, ref in ipairs(refs) do
    if call('HINCRBY', key, ref, 1) >= MAX_TELLINGS then
      call('HDEL', key, ref)
    end
  end
  session.orders = call('HLEN', key)
  call('HSET', session.key, 'orders', session.orders)
  return refs
end

local PENDING_PAGE = 1000

-- Calls `visit(id, consumer, idleMs)` for each pending entry of a stream, of one consumer or of all.
function orders.eachPending(group, kind, consumer, visit)
  if not group.has[records.STREAMS[kind]] then
    return
  end
  local from = '-'
  while true do
    local page
    if consumer then
      page = call('XPENDING', records.streamKey(group, kind), group.pool, from, '+', PENDING_PAGE, consumer)
    else
      page = call('XPENDING', records.streamKey(group, kind), group.pool, from, '+', PENDING_PAGE)
    end
    for _, entry in ipairs(page) do
      visit(entry[1], entry[2], entry[3])
    end
    if #page < PENDING_PAGE then
      return
    end
    from = '(' .. page[#page][1]
  end
end

local function revokeIn(group, kind)
  orders.eachPending(group, kind, nil, function(id, consumer)
    orders.revoke(group, kind, id, consumer)
  end)
end

-- Takes all running leases of an execution away and tells their workers to stop.
function orders.revokeAll(execution)
  local seen = {}
  for _, no in ipairs(execution.counts.running > 0 and call('SMEMBERS', execution.key .. ':running') or {}) do
    seen[no] = true
    for _, kind in ipairs(records.KINDS) do
      revokeIn(records.group(execution, no), kind)
    end
  end
  -- Copies are no items of the execution: their groups need not be among those that run.
  for no = 0, execution.isVerified and execution.groups - 1 or -1 do
    if not seen[tostring(no)] then
      revokeIn(records.group(execution, no), 'c')
    end
  end
end

-- One of them. The stream goes with the execution, so the entry itself is left alone, unless its work is kept.
function orders.revoke(group, kind, id, consumer)
  local session = records.session(consumer)
  local lease = leases.read(group, kind, id)
  if session and lease then
    orders.stop(session, lease)
    books.hold(session, group, -1)
  end
  if lease and group.execution.isKept then
    leases.shelve(lease, session and session.worker)
  elseif lease and session and not lease.start then
    leases.noteTry(lease, { state = 'cancelled', attempt = lease.attempt, failures = lease.failures,
      losses = lease.losses, worker = session.worker })
  end
end
