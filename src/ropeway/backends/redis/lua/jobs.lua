-- Jobs: each is two strings, its message as it was sent and how it stands.
--
-- A message begins with four numbers (due, delay, expires, time to start in), which say when it
-- may run. How a job stands is a head of fixed size, and what of it never changes: `static`.
-- A script reads each job once, and writes each that changed once, at its end. `raws` has those that
-- were read and not taken apart, `jobs` those that were; `changed` has either.

local QUEUED, RUNNING, SUCCEEDED, FAILED, CANCELLED, EXPIRED, QUARANTINED = 0, 1, 2, 3, 4, 5, 6
local NOWHERE, IN_LANE, ASIDE, BLOCKED, FREED = 0, 1, 2, 3, 4
local CANCELLING, MOVED, REWRITTEN = 1, 2, 4
local FORMAT = '<BBBI4I4I4I4I4I4ddddddddI4I4I4I4BI4'
local WHEN = '<dddd'

local jobs, changed, removed, fresh = {}, {}, {}, {}

local function state_key(id) return tag .. ':s:' .. id end
local function message_key(id) return tag .. ':m:' .. id end
local function body_key(id) return tag .. ':b:' .. id end

local function decode(id, raw)
  local state, flags, where, version, attempt, failures, losses, releases, unknown,
    serial, enqueued, due, place, started, finished, purge, expires,
    n_static, n_holder, n_aside, n_error, n_digest, n_value, at = unpack_bytes(FORMAT, raw)
  local job = {
    id = id, state = state, flags = flags, where = where, version = version, attempt = attempt,
    failures = failures, losses = losses, releases = releases, unknown = unknown,
    serial = serial, enqueued = enqueued, due = due, place = place, started = started,
    finished = finished, purge = purge, expires = expires, aside = '', digest = '',
    error = '', value = false,
  }
  local last = at + n_static
  job.static = sub(raw, at, last - 1)
  job.holder = sub(raw, last, last + n_holder - 1)
  if last + n_holder <= #raw then
    at = last + n_holder
    last = at + n_aside
    job.aside = sub(raw, at, last - 1)
    job.error = sub(raw, last, last + n_error - 1)
    last = last + n_error
    job.digest = sub(raw, last, last + n_digest - 1)
    last = last + n_digest
    job.value = n_value > 0 and sub(raw, last, last + n_value - 2)
  end
  return job
end

local function encode(job)
  local value = job.value
  local head = pack(FORMAT, job.state, job.flags, job.where, job.version, job.attempt,
    job.failures, job.losses, job.releases, job.unknown, job.serial, job.enqueued, job.due,
    job.place, job.started, job.finished, job.purge, job.expires, #job.static, #job.holder,
    #job.aside, #job.error, #job.digest, value and #value + 1 or 0)
  return head .. job.static .. job.holder .. job.aside .. job.error .. job.digest .. (value or '')
end

local function read_ahead(ids)
  local keys, wanted = {}, {}
  for _, id in ipairs(ids) do
    if jobs[id] == nil and raws[id] == nil then
      raws[id] = false
      wanted[#wanted + 1] = id
      keys[#keys + 1] = state_key(id)
    end
  end
  for first = 1, #keys, MOST do
    local last = math.min(first + MOST - 1, #keys)
    for at, raw in ipairs(call('MGET', unpack(keys, first, last))) do
      raws[wanted[first + at - 1]] = raw
    end
  end
end

local function get(id)
  local job = jobs[id]
  if job == nil then
    local raw = raws[id]
    if raw == nil then raw = call('GET', state_key(id)) end
    job = raw and decode(id, raw)
    jobs[id], raws[id] = job, nil
  end
  return job
end

local function touch(job)
  changed[job.id] = job
end

local function bump(job)
  job.version = job.version + 1
  changed[job.id] = job
end

-- Taken apart once for all jobs that are alike: kind, band, and names of any bytes.
local parsed = {}

local function about(job)
  local static = job.static
  local found = parsed[static]
  if found then return found end
  local queue, task, has_key, key, n, at = unpack_bytes('<I4c0I4c0BI4c0I4', static, 3)
  found = {kind = sub(static, 1, 1), band = sub(static, 2, 2), queue = queue, task = task}
  found.key = has_key == 1 and key
  found.lane = found.kind .. found.band
  if n > 0 then
    local limits, seen, limit = {}, {}, nil
    for _ = 1, n do
      limit, at = unpack_bytes('<I4c0', static, at)
      if not seen[limit] then
        seen[limit] = true
        limits[#limits + 1] = limit
      end
    end
    found.limits = limits
  end
  parsed[static] = found
  return found
end

-- Give a job another queue or band, which are then no longer those of its message.
local function move(job, queue, band)
  local was = about(job)
  local rest = sub(job.static, 2 + 4 + #was.queue + 1)
  queue, band = queue or was.queue, band or was.band
  job.static = was.kind .. band .. pack('<I4', #queue) .. queue .. rest
  job.flags = bit.bor(job.flags, MOVED)
end

local function has(job, flag)
  return bit.band(job.flags, flag) ~= 0
end

local function set(job, flag)
  job.flags = bit.bor(job.flags, flag)
end

local function clear(job, flag)
  job.flags = bit.band(job.flags, bit.bnot(flag))
end

local function fingerprint(job)
  if job.error == '' then return '' end
  return cmsgpack.unpack(job.error).fingerprint or ''
end

local function erase(id)
  raws[id], jobs[id], changed[id], fresh[id] = false, false, nil, nil
  removed[#removed + 1] = state_key(id)
  removed[#removed + 1] = message_key(id)
end

local function forget(job)
  erase(job.id)
  if has(job, REWRITTEN) then removed[#removed + 1] = body_key(job.id) end
end

-- How a job stands now that was not taken apart.
local function stands(id, raw)
  raws[id], changed[id] = raw, raw
end

local function write_all()
  for key in pairs(pending) do sync(key) end
  local written, at = {}, 0
  for id, message in pairs(fresh) do
    written[at + 1], written[at + 2] = message_key(id), message
    at = at + 2
  end
  for id, job in pairs(changed) do
    local raw = type(job) == 'string' and job or encode(job)
    raws[id] = raw
    written[at + 1], written[at + 2] = state_key(id), raw
    at = at + 2
  end
  in_parts('UNLINK', removed)
  in_parts('MSET', written)
end
