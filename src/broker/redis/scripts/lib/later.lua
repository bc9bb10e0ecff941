-- Tasks and ranges that wait for their next try, in `later`, go back to where they are handed out.

local function takeTask(execution, group, content)
  local task = { group = group, task = tonumber(content[1]), input = content[5],
    parents = content[6] ~= '' and content[6] or nil }
  local tries = { attempt = tonumber(content[2]), failures = tonumber(content[3]), losses = tonumber(content[4]) }
  leases.renote(task, { state = 'queued', entry = leases.enqueueAgain(task, tries) })
  books.move(group, 'scheduled', 'queued', 1)
  return content[1]
end

local function takeRange(execution, group, content, start)
  local range = { group = group, task = group.first, start = tonumber(start), last = tonumber(content[1]) }
  ranges.enqueue(group, range.start, range.last, {
    attempt = tonumber(content[2]), failures = tonumber(content[3]), losses = tonumber(content[4]),
    isCareful = content[5] == '1',
  })
  leases.renote(range, { state = 'queued' })
  books.move(group, 'scheduled', 'queued', range.last - range.start)
  return ranges.textOf(range, range.start, range.last)
end

-- `field`: its name in `later`. What is not there any more is passed over.
function later.queue(execution, field, reason)
  local content = call('HGET', execution.key .. ':later', field)
  if not content then
    return
  end
  call('HDEL', execution.key .. ':later', field)
  local task, start = string.match(field, '^(%d+):?(%d*)$')
  local group = records.groupOfTask(execution, task)
  if group.notBefore then
    call('HINCRBY', group.key, 'apart', -1)
  end
  local take = start == '' and takeTask or takeRange
  local text = take(execution, group, cjson.decode(content), start)
  journal.tasks(execution, { state = 'queued', text = text, reason = reason })
  ready.offer(group, 1)
end
