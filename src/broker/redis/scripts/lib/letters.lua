-- Dead letters: tasks, and ranges of arrays, that will not be tried again by themselves.
--
-- Those of an execution stand in its set `letters` by their first item, under their names in `tries`; those that were
-- struck off in `discarded`, because their items have failed all the same. The shard's set `dead` names the executions
-- that have any.
--
-- Whoever chooses among all of them does it a page at a time, in the order of the set. What has died again since the
-- first page is left out, so that an end is reached.

local function scoreOf(field)
  return string.match(field, ':(%d+)$') or field
end

local function keyOf(execution)
  return execution.key .. ':letters'
end

function letters.add(execution, field)
  call('ZADD', keyOf(execution), scoreOf(field), field)
  if not execution.isListed then
    execution.isListed = true
    call('ZADD', PREFIX .. 'dead', call('HGET', execution.key, 'birth') or 0, execution.id)
  end
end

-- What `tries` says of a letter, with its failure as text.
function letters.read(execution, field)
  local text = call('HGET', execution.key .. ':tries', field)
  local record = text and cjson.decode(text)
  if record then
    record.failure = string.match(text, '"failure":(.*)}$')
    record.task, record.start = string.match(field, '^(%d+):?(%d*)$')
    record.task, record.start = tonumber(record.task), tonumber(record.start)
    record.at, record.last = count(record.at), tonumber(record.last)
  end
  return record
end

-- Items of a letter.
function letters.items(record)
  return record.start and record.last and record.last - record.start or 1
end

local function named(execution, names)
  local found = {}
  for _, field in ipairs(names) do
    if call('ZSCORE', keyOf(execution), field) then
      found[#found + 1] = field
    end
  end
  return found
end

-- Letters to change, as names, and where the next page begins ('' at the end). `choice`: isAll, names, page, from
-- ('' for the first page).
function letters.choose(execution, choice)
  if not choice.isAll then
    return named(execution, choice.names), ''
  end
  local from = choice.from == '' and '-inf' or choice.from
  local rows = call('ZRANGEBYSCORE', keyOf(execution), from, '+inf', 'WITHSCORES', 'LIMIT', 0, choice.page)
  local found = {}
  for at = 1, #rows, 2 do
    found[#found + 1] = rows[at]
  end
  local last = rows[#rows]
  if #found < choice.page then
    return found, ''
  end
  -- A page of nothing but equal places would be found again and again, were all of it to stay.
  return found, (rows[2] == last and from == last) and '(' .. last or last
end

-- It is none any more.
function letters.remove(execution, field)
  call('ZREM', keyOf(execution), field)
end

-- Its items stay failed.
function letters.discard(execution, field)
  call('ZADD', execution.key .. ':discarded', scoreOf(field), field)
  letters.remove(execution, field)
end

-- To be called when some were removed.
function letters.tidy(execution)
  if call('EXISTS', keyOf(execution)) == 0 then
    call('ZREM', PREFIX .. 'dead', execution.id)
  end
end
