-- Events of this transition (promise 10): written with the changes they tell of.
--
-- Each execution has a stream of its events, whose ids are cursors; the shard's `feed` names them in
-- order for readers of everything. Transitions of one kind that follow each other share an event. The
-- stream `commits` counts the results of an execution, so that a reader may stop within an event: the
-- id is one more than the number of results before, and the entry names the event that tells of them.

eachCall(function()
  journal.drafts = {}
  journal.last = {}
end)

local MAX_EVENT_ENTRIES = 1000

-- `text`: entries of a JSON array without its brackets, `items` of them. `results`: of a completed
-- entry, the result row where it is not the entry itself; '' for none of its own.
function journal.tasks(execution, move)
  local sameness = move.state .. UNIT .. (move.worker or '') .. UNIT .. (move.reason or '')
  local last = journal.last[execution.id]
  local items = move.items or 1
  if last == nil or last.sameness ~= sameness or last.items + items > MAX_EVENT_ENTRIES then
    last = {
      execution = execution, kind = 'tasks', state = move.state, worker = move.worker, reason = move.reason,
      sameness = sameness, texts = {}, items = 0, results = {}, told = 0,
    }
    journal.drafts[#journal.drafts + 1] = last
    journal.last[execution.id] = last
  end
  last.texts[#last.texts + 1] = move.text
  last.items = last.items + items
  if move.state == 'completed' then
    if move.result ~= nil then
      last.isSplit = true
    end
    if move.result ~= '' then
      last.results[#last.results + 1] = move.result or move.text
      last.told = last.told + items
    end
  end
end

function journal.execution(execution, state, reason)
  local draft = { execution = execution, kind = 'execution', state = state, reason = reason }
  journal.drafts[#journal.drafts + 1] = draft
  journal.last[execution.id] = nil
end

function journal.session(session, worker, state)
  journal.drafts[#journal.drafts + 1] = { kind = 'session', session = session, worker = worker, state = state }
end

local function fieldsOf(draft)
  local fields = { 'kind', draft.kind, 'state', draft.state, 'at', int(now) }
  local function add(name, value)
    if value then
      fields[#fields + 1] = name
      fields[#fields + 1] = value
    end
  end
  add('tasks', draft.texts and '[' .. table.concat(draft.texts, ',') .. ']')
  add('session', draft.session)
  add('worker', draft.worker)
  add('reason', draft.reason)
  return fields
end

local function tellResults(draft, cursor)
  local key = draft.execution.key
  local before = call('HINCRBY', key, 'told', draft.told) - draft.told
  local id = int(before + 1) .. '-0'
  if draft.isSplit then
    call('XADD', key .. ':commits', id, 'event', cursor, 'results', '[' .. table.concat(draft.results, ',') .. ']')
  else
    call('XADD', key .. ':commits', id, 'event', cursor)
  end
end

function journal.flush()
  local told = {}
  for _, draft in ipairs(journal.drafts) do
    local cursor = int(cursors.next())
    local fields = fieldsOf(draft)
    if draft.execution then
      call('XADD', draft.execution.key .. ':events', cursor .. '-0', unpack(fields))
      call('XADD', PREFIX .. 'feed', cursor .. '-0', 'execution', draft.execution.id)
      if draft.told and draft.told > 0 then
        tellResults(draft, cursor)
      end
      -- Nobody can be waiting for news of one that was not there.
      told[draft.execution.id] = not draft.execution.isNew or nil
      if draft.execution.isEnded and not draft.execution.isEndTold then
        draft.execution.isEndTold = true
        call('PUBLISH', PREFIX .. 'ends', draft.execution.id)
      end
    else
      call('XADD', PREFIX .. 'feed', cursor .. '-0', unpack(fields))
    end
  end
  if #journal.drafts > 0 then
    for id in pairs(told) do
      call('PUBLISH', PREFIX .. 'told:' .. id, '')
    end
    call('PUBLISH', PREFIX .. 'told', '')
    journal.drafts = {}
    journal.last = {}
  end
end
