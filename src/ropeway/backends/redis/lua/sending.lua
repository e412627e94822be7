-- Messages that come in.

local answers = {} -- of each message, or of each transition

-- Numbers in the order of publishing are taken by so many at once; what is left over is lost.
local at_once, last_serial, spare = 1, 0, 0

local function next_serial()
  if spare == 0 then
    last_serial, spare = call('INCRBY', tag .. ':n', at_once) - at_once, at_once
  end
  last_serial, spare = last_serial + 1, spare - 1
  return last_serial
end

local function when(raw, enqueued)
  local due, delay, expires, after = unpack_bytes(WHEN, raw)
  if after == after then
    local first = due == due and math.max(due, enqueued) or enqueued + delay
    expires = first + after
  end
  return given(due) or enqueued + delay, expires
end

local COME = 'come' -- in the place of `true`: nothing else has happened there

local function publish(each)
  if get(each.id) then return end
  local due, expires = when(each.message, now)
  local job = {
    id = each.id, static = each.static, state = QUEUED, flags = 0, where = NOWHERE, version = 1,
    attempt = 0, failures = 0, losses = 0, releases = 0, unknown = 0, serial = next_serial(),
    enqueued = now, due = due, place = due, started = 0, finished = 0, purge = 0,
    expires = expires, holder = '', aside = '', error = '', digest = '', value = false,
  }
  jobs[each.id] = job
  fresh[each.id] = each.message
  gather('ZADD', IDS, 0, each.id)
  if expires == expires then gather('ZADD', LATE, expires, each.id) end
  enter(job)
  local queue = 'queue/' .. about(job).queue
  hints[queue] = hints[queue] or COME
end

local function message_of(id)
  return fresh[id] or call('GET', message_key(id))
end

-- Whether exactly this message is there already.
local function is_same(job, each)
  if has(job, MOVED) or has(job, REWRITTEN) then return false end
  return message_of(each.id) == each.message
end

local function take_message()
  return {id = take(), message = take(), static = take()}
end

local function refused(reason, id)
  local job = get(id)
  return {2, reason, 'job/' .. id, job and job.version or 0}
end

local function apply_message(each)
  local job = get(each.id)
  if not job then
    publish(each)
    return 0
  end
  return is_same(job, each) and 1 or refused('duplicate', each.id)
end
