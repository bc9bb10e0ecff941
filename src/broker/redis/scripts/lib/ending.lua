-- The end of a session: its leases end with it, in the same step (promise 3).

function ending.endSession(session, reason)
  leases.giveBackAll(session, reason == 'lost')
  books.flush()
  local row = call('HMGET', session.key, 'slots', 'tells')
  for _, pool in ipairs(session.pools) do
    call('HINCRBY', ready.poolKey(pool), 'slots', -count(row[1]))
    call('HINCRBY', ready.poolKey(pool), 'sessions', -1)
    call('ZREM', ready.poolKey(pool) .. ':idle', session.id)
    standby.leave(pool, session.id)
  end
  call('ZREM', PREFIX .. 'opened', session.id)
  local seenAt = call('ZSCORE', PREFIX .. 'sessions', session.id) or int(now)
  call('ZREM', PREFIX .. 'sessions', session.id)
  call('HDEL', PREFIX .. 'unheard', session.id)
  call('ZADD', PREFIX .. 'ended-sessions', seenAt, session.id)
  call('HSET', session.key, 'state', reason, 'seenAt', seenAt)
  call('UNLINK', session.key .. ':held', session.key .. ':orders')
  records.sessions[session.id] = false
  if row[2] == '1' then
    journal.session(session.id, session.worker, reason)
  end
  ready.tellEnd(session.id)
end
