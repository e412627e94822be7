-- The settle of a message by who holds it.

local COUNTS = {[0] = false, 'failures', 'losses', 'releases', 'unknown'}

local function release(job, each)
  unlease(job)
  job.state, job.error = QUEUED, each.error
  local due = given(each.at) or (each.delay == each.delay and now + each.delay)
  if due then job.due, job.place = due, due end
  if job.expires == job.expires then gather('ZADD', LATE, job.expires, job.id) end
  push(job)
  hint('job/' .. job.id)
  hint('queue/' .. about(job).queue)
end

local function settle(job, each, digest)
  bump(job)
  job.digest = digest
  local counts = COUNTS[each.counts]
  if counts then job[counts] = job[counts] + 1 end
  if counts == 'unknown' then job.releases = job.releases + 1 end
  if each.kind == 1 and not has(job, CANCELLING) then return release(job, each) end
  job.error = each.error
  local state, keep = each.state, each.keep
  if each.kind == 1 then state, keep = CANCELLED, job.purge end
  job.value = each.kind == 0 and each.value
  finish(job, state, keep)
  if each.kind ~= 1 and keep <= 0 then
    gather('ZREM', IDS, job.id)
    forget(job)
  else
    index(job)
  end
end

local function settle_of(head, error, value)
  local kind, state, counts, has_value, keep, delay, at = unpack_bytes('<BBBBddd', head)
  return {
    kind = kind, state = state, counts = counts, keep = keep, delay = delay, at = at, error = error,
    value = has_value == 1 and value,
  }
end

local function take_settle()
  return settle_of(take(), take(), take())
end

local function take_fence()
  return {id = take(), attempt = take_number(), holder = take()}
end

local function guard_fence(fence, digest)
  local job = get(fence.id)
  if job and job.attempt == fence.attempt and job.holder == fence.holder then
    if job.state == RUNNING then return nil end
    -- Of a settle after which nothing is kept there is no digest: if the job is there, it did not hold.
    if digest ~= '' and job.digest == digest then return 1 end
  end
  return {2, 'lost', 'job/' .. fence.id, job and job.version or 0}
end

local function apply_settle(fence, digest, each)
  local answer = guard_fence(fence, digest)
  if answer then return answer end
  settle(get(fence.id), each, digest)
  return 0
end
