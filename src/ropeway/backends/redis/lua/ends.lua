-- Leases, and the ends of jobs.

local FLAGGED = tag .. ':flag'

local function lease_key(kind, queue) return tag .. ':x:' .. kind .. queue end
local function lease_member(job, band) return pack('>I8', job.serial) .. band .. job.id end

local function unlease(job)
  local what = about(job)
  gather('ZREM', lease_key(what.kind, what.queue), lease_member(job, what.band))
  if has(job, CANCELLING) then gather('ZREM', FLAGGED, job.id) end
  if what.limits then give_back(what.limits) end
end

local function ended_key(state) return tag .. ':e:' .. state end
local function index_key(state) return tag .. ':i:' .. state end
local function cause_key(state, cause) return pair('c', tostring(state), cause) end
local function causes_key(state) return tag .. ':cs:' .. state end

-- Settle a job that waits or runs: what it held back may go on.
local function finish(job, state, keep)
  if job.state == RUNNING then
    unlease(job)
  elseif job.expires == job.expires then
    gather('ZREM', LATE, job.id)
  end
  leave(job)
  job.state, job.finished, job.purge = state, now, now + keep
  clear(job, CANCELLING)
  hint('job/' .. job.id, job.id)
  touch(job)
end

-- Have a settled job be found, and removed when its time is over.
local function index(job)
  local id, state = job.id, job.state
  gather('ZADD', ended_key(state), job.purge, id)
  if state == SUCCEEDED then return end
  local cause = fingerprint(job)
  gather('ZADD', index_key(state), 0, id)
  gather('ZADD', cause_key(state, cause), 0, id)
  call('SADD', causes_key(state), cause)
end

local function unindex(job)
  local id, state = job.id, job.state
  gather('ZREM', ended_key(state), id)
  if state == SUCCEEDED then return end
  local cause = fingerprint(job)
  local key = cause_key(state, cause)
  gather('ZREM', index_key(state), id)
  sync(key)
  call('ZREM', key, id)
  if call('EXISTS', key) == 0 then call('SREM', causes_key(state), cause) end
end

local function remove(job)
  unindex(job)
  gather('ZREM', IDS, job.id)
  forget(job)
end

local function cancel_now(job, keep)
  finish(job, CANCELLED, keep)
  bump(job)
  job.digest = ''
  index(job)
end

-- End those that are to be cancelled and whose holders are gone.
local function end_flagged()
  sync(FLAGGED)
  local over = call('ZRANGEBYSCORE', FLAGGED, '-inf', now, 'LIMIT', 0, 100)
  for _, id in ipairs(over) do
    local job = get(id)
    if job then cancel_now(job, job.purge) end
  end
end

local function finish_up()
  write_meters()
  write_all()
  tell()
end
