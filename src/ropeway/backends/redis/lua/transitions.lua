-- Transitions, applied in order, each whole or not at all: what they were answered is in `answers`.
--
-- Taken are the number of transitions, then for each a letter and what belongs to it (see commands.py):
--   p  one message and nothing else    s  the settle of a fenced message and nothing else
--   g  the general form: a flag for fence, settle and plain, how many there are of each kind of
--      part, then the parts in the order of `Transition`'s fields
-- An answer is 0 (applied), 1 (repeated), {0, versions, offsets, fired, cancelled, flagged}
--   with what there is to tell, or {2, reason, key, version} (refused).

local FIRED_KEPT, OPEN_KEPT = take_number(), take_number()

local function record_key(key) return tag .. ':r:' .. key end
local RECORDS, RECORDS_OVER = tag .. ':rk', tag .. ':rx'
local JOINS_OVER = tag .. ':jx'

-- Records: version, end, owner, value.

local function read_record(key)
  local raw = call('GET', record_key(key))
  if not raw then return nil end
  local version, expires, n, at = unpack_bytes('<ddI4', raw)
  return {version = version, over = expires <= now, expires = expires, owner = sub(raw, at, at + n - 1)}
end

local function version_of(key)
  if sub(key, 1, 4) == 'job/' then
    local job = get(sub(key, 5))
    return job and job.version or 0
  end
  local record = read_record(key)
  return record and not record.over and record.version or 0
end

local function is_open_to(record, owner)
  return not owner or not record or record.over or record.owner == owner
end

local function put(each)
  local old = read_record(each.key)
  if not is_open_to(old, each.if_owner) then return nil end
  local version = old and old.version + 1 or 1
  local expires = each.ttl and now + each.ttl or math.huge
  local head = pack('<ddI4', version, expires, #each.owner)
  call('SET', record_key(each.key), head .. each.owner .. each.value)
  if not old then call('ZADD', RECORDS, 0, each.key) end
  if each.ttl then
    call('ZADD', RECORDS_OVER, expires, each.key)
  elseif old and old.expires < math.huge then
    call('ZREM', RECORDS_OVER, each.key)
  end
  hint(each.key)
  return version
end

local function drop(each)
  local old = read_record(each.key)
  if not old or old.over or not is_open_to(old, each.if_owner) then return end
  call('DEL', record_key(each.key))
  call('ZREM', RECORDS, each.key)
  call('ZREM', RECORDS_OVER, each.key)
  hint(each.key)
end

local function append(each)
  hint('log/' .. each.log)
  local length = call('RPUSH', tag .. ':g:' .. each.log, pack('<d', now) .. each.value)
  return length + tonumber(call('GET', tag .. ':gt:' .. each.log) or 0)
end

local function trim(each)
  local key, gone = tag .. ':g:' .. each.log, tag .. ':gt:' .. each.log
  local before = tonumber(call('GET', gone) or 0)
  local n = math.min(each.upto - before, call('LLEN', key) - 1)
  if n <= 0 then return end
  call('LTRIM', key, n, -1)
  call('SET', gone, string.format('%.0f', before + n))
end

-- Joins.

local function fire(each, raw)
  local members = tag .. ':jm:' .. each
  if not raw.need or raw.fired or call('SCARD', members) < raw.need then return false end
  local key = tag .. ':j:' .. each
  call('DEL', members)
  call('HSET', key, 'fired', 1)
  call('ZADD', JOINS_OVER, now + FIRED_KEPT, each)
  local at, id, message, static = 1, nil, nil, nil
  while at <= #raw.joined do
    id, message, static, at = unpack_bytes('<I4c0I4c0I4c0', raw.joined, at)
    publish({id = id, message = message, static = static})
  end
  call('HDEL', key, 'then')
  return true
end

local function read_join(each)
  local raw = call('HMGET', tag .. ':j:' .. each, 'need', 'fired', 'then')
  return {need = tonumber(raw[1] or nil), fired = raw[2], joined = raw[3] or ''}
end

local function join(each)
  local found, key = read_join(each.name), tag .. ':j:' .. each.name
  if found.fired then return false end
  if not found.need then
    found.need, found.joined = each.need, each.joined
    call('HSET', key, 'need', each.need, 'then', each.joined)
  elseif each.need > found.need then
    found.need = each.need
    call('HSET', key, 'need', each.need)
  end
  call('ZADD', JOINS_OVER, now + OPEN_KEPT, each.name)
  return fire(each.name, found)
end

local function arrive(each)
  local found = read_join(each.join)
  if found.fired then return false end
  call('SADD', tag .. ':jm:' .. each.join, each.member)
  call('ZADD', JOINS_OVER, 'NX', now + OPEN_KEPT, each.join)
  return fire(each.join, found)
end

-- What people do to jobs.

local function cancel(each, cancelled, flagged)
  local job = get(each.id)
  if not job then return end
  if job.state == QUEUED then
    cancel_now(job, each.keep)
    cancelled[#cancelled + 1] = each.id
  elseif job.state == RUNNING then
    local what = about(job)
    set(job, CANCELLING)
    job.purge = each.keep
    bump(job)
    local leases = lease_key(what.kind, what.queue)
    sync(leases)
    call('ZADD', FLAGGED, call('ZSCORE', leases, lease_member(job, what.band)), each.id)
    hint('job/' .. each.id)
    hint('holder/' .. job.holder)
    flagged[#flagged + 1] = each.id
  end
end

local function update(each)
  local job = get(each.id)
  if job.state ~= QUEUED then return end -- cancelled in the same step
  local old = about(job).queue
  local moves = each.queue and each.queue ~= old
  local blocked = job.where == BLOCKED and not moves
  if moves then leave(job) else pull(job) end
  if each.queue or each.band then move(job, each.queue, each.band) end
  if each.body then
    set(job, REWRITTEN)
    call('SET', body_key(each.id), each.body)
  end
  if each.due then job.due, job.place = each.due, each.due end
  bump(job)
  if moves then
    enter(job)
  elseif blocked then
    gather('ZADD', held_key(old), job.due, member_of(job))
    job.where = BLOCKED
  else
    push(job)
  end
  hint('queue/' .. about(job).queue)
  hint('job/' .. each.id)
end

local function revive(each)
  local job = get(each.id)
  if not job or job.state < SUCCEEDED then return end
  unindex(job)
  if each.message then
    job.static, job.flags = each.static, 0
    fresh[each.id] = each.message
    call('DEL', body_key(each.id))
  end
  job.state, job.digest, job.finished, job.value = QUEUED, '', 0, false
  job.failures, job.losses, job.unknown, job.releases = 0, 0, 0, job.attempt
  job.enqueued, job.due = now, each.due or now
  job.place = job.due
  local _, expires = when(message_of(each.id), now)
  job.expires = expires
  if expires == expires then gather('ZADD', LATE, expires, each.id) end
  bump(job)
  enter(job)
  hint('queue/' .. about(job).queue)
  hint('job/' .. each.id)
end

-- Reading what was asked for.

local PARTS = {
  {'expect', function() return {key = take(), version = take_number()} end},
  {'put', function()
    local key, value, owner, if_owner = take(), take(), take(), take()
    local ttl, has_if = unpack_bytes('<dB', take())
    return {key = key, value = value, owner = owner, ttl = given(ttl), if_owner = has_if == 1 and if_owner}
  end},
  {'drop', function()
    local key, if_owner, has_if = take(), take(), take()
    return {key = key, if_owner = has_if == '1' and if_owner}
  end},
  {'append', function() return {log = take(), value = take()} end},
  {'trim', function() return {log = take(), upto = take_number()} end},
  {'publish', take_message},
  {'join', function() return {name = take(), need = take_number(), joined = take()} end},
  {'arrive', function() return {join = take(), member = take()} end},
  {'cancel', function() return {id = take(), keep = take_number()} end},
  {'update', function()
    local id, queue, band, body = take(), take(), take(), take()
    local due, has_queue, has_body = unpack_bytes('<dBB', take())
    return {
      id = id, due = given(due), queue = has_queue == 1 and queue, band = band ~= '' and band,
      body = has_body == 1 and body,
    }
  end},
  {'revive', function()
    local id, message, static = take(), take(), take()
    local due, has_message = unpack_bytes('<dB', take())
    return {id = id, due = given(due), message = has_message == 1 and message, static = static}
  end},
  {'remove', function() return {id = take()} end},
  {'room', function() return {queue = take(), most = take_number()} end},
}

local function take_general()
  local flags = take_number()
  local found = {plain = flags >= 4}
  flags = flags % 4
  if flags % 2 == 1 then found.fence, found.digest = take_fence(), take() end
  local counts = {unpack_bytes('<' .. string.rep('I4', #PARTS), take())}
  for at, part in ipairs(PARTS) do
    local list = {}
    for n = 1, counts[at] do list[n] = part[2]() end
    found[part[1]] = list
  end
  if flags >= 2 then found.settle = take_settle() end
  return found
end

-- Guards, then writes.

local function conflict(key)
  return {2, 'conflict', key, version_of(key)}
end

-- The id of a message that another one has taken, or those that are new, by their ids.
local function guard_publish(list)
  local first = {}
  for _, each in ipairs(list) do
    local job = get(each.id)
    if job then
      if not is_same(job, each) then return each.id end
    else
      local other = first[each.id]
      if other and (other.message ~= each.message) then return each.id end
      first[each.id] = each
    end
  end
  return nil, first
end

local function late_one(t)
  for _, each in ipairs(t.update) do
    local job = get(each.id)
    if not job or job.state ~= QUEUED then return each.id end
  end
  for _, each in ipairs(t.revive) do
    local job = get(each.id)
    if not job or job.state < SUCCEEDED then return each.id end
  end
  for _, each in ipairs(t.remove) do
    local job = get(each.id)
    if job and job.state < SUCCEEDED then return each.id end
  end
end

local function guard_room(rooms, new)
  if not rooms[1] then return end
  local coming = {}
  for _, each in pairs(new) do
    local queue = about(each).queue
    coming[queue] = (coming[queue] or 0) + 1
  end
  for _, each in ipairs(rooms) do
    if coming[each.queue] then
      local waiting = depth(each.queue)
      if waiting + coming[each.queue] > each.most then return {2, 'full', 'queue/' .. each.queue, waiting} end
    end
  end
end

local function guard(t)
  if t.fence then
    local answer = guard_fence(t.fence, t.digest)
    if answer then return answer end
  end
  for _, each in ipairs(t.expect) do
    if version_of(each.key) ~= each.version then return conflict(each.key) end
  end
  local duplicate, new = guard_publish(t.publish)
  if duplicate then return refused('duplicate', duplicate) end
  local late = late_one(t)
  if late then return refused('conflict', late) end
  if not t.fence and t.plain and t.publish[1] and not next(new) then return 1 end
  return guard_room(t.room, new)
end

local function apply(t)
  local answer = guard(t)
  if answer then return answer end
  local versions, offsets, fired, cancelled, flagged = {}, {}, {}, {}, {}
  for _, each in ipairs(t.put) do
    local version = put(each)
    if version then
      versions[#versions + 1] = each.key
      versions[#versions + 1] = version
    end
  end
  for _, each in ipairs(t.drop) do drop(each) end
  for _, each in ipairs(t.append) do
    offsets[#offsets + 1] = each.log
    offsets[#offsets + 1] = append(each)
  end
  for _, each in ipairs(t.trim) do trim(each) end
  for _, each in ipairs(t.publish) do publish(each) end
  for _, each in ipairs(t.join) do
    if join(each) then fired[#fired + 1] = each.name end
  end
  for _, each in ipairs(t.arrive) do
    if arrive(each) then fired[#fired + 1] = each.join end
  end
  for _, each in ipairs(t.cancel) do cancel(each, cancelled, flagged) end
  for _, each in ipairs(t.update) do update(each) end
  for _, each in ipairs(t.revive) do revive(each) end
  for _, each in ipairs(t.remove) do
    local job = get(each.id)
    if job then
      remove(job)
      hint('job/' .. each.id)
    end
  end
  if t.fence and t.settle then settle(get(t.fence.id), t.settle, t.digest) end
  if #versions + #offsets + #fired + #cancelled + #flagged == 0 then return 0 end
  return {0, versions, offsets, fired, cancelled, flagged}
end

local total = take_number()
local shapes, ids = {}, {}
for n = 1, total do
  local letter, each = take(), nil
  if letter == 'p' then
    each = take_message()
    ids[#ids + 1] = each.id
  elseif letter == 's' then
    each = {fence = take_fence(), digest = take(), settle = take_settle()}
    ids[#ids + 1] = each.fence.id
  else
    each = take_general()
  end
  each.letter = letter
  shapes[n] = each
end
read_ahead(ids)

for n, each in ipairs(shapes) do
  if each.letter == 'p' then
    answers[n] = apply_message(each)
  elseif each.letter == 's' then
    answers[n] = apply_settle(each.fence, each.digest, each.settle)
  else
    answers[n] = apply(each)
  end
end
