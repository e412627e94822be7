-- What waits: lanes, keys, limits, and what sets the next one free.
--
-- A queue has a lane for each kind and band: a sorted set by place (the due time, or the later time
-- at which its key became free), then by the order of publishing. Of a key one job is its head; the
-- others are blocked, and in none. What a limit holds back is aside, by rank. Those two are also in
-- `held`, by due time; what was freed late is in `freed` by its due time, for people to see.

local function lane_key(what) return tag .. ':l:' .. what.lane .. what.queue end
local function lanes_key(queue) return tag .. ':ls:' .. queue end
local function lease_key(kind, queue) return tag .. ':x:' .. kind .. queue end
local function held_key(queue) return tag .. ':h:' .. queue end
local function freed_key(queue) return tag .. ':f:' .. queue end
local function aside_key(kind, queue, limit) return pair('a:' .. kind, queue, limit) end
local function asides_key(queue) return tag .. ':as:' .. queue end
local function asking_key(limit) return tag .. ':lq:' .. limit end
local function limit_key(limit) return tag .. ':li:' .. limit end

local QUEUES, LATE, FLAGGED = tag .. ':q', tag .. ':late', tag .. ':flag'
local KINDS = {'t', 'l', 'c'}

local function member_of(job) return pack('>I8', job.serial) .. job.id end
local function lease_member(job, band) return pack('>I8', job.serial) .. band .. job.id end

local known = {}

-- Have a queue, and a lane of it, be found by whoever looks for them.
local function enlist(what)
  local found = known[what.queue]
  if not found then
    found = {}
    known[what.queue] = found
    call('SADD', QUEUES, what.queue)
  end
  if not found[what.lane] then
    found[what.lane] = true
    call('SADD', lanes_key(what.queue), what.lane)
  end
end

-- Let a waiting job that its key does not block be handed out.
local function push(job)
  local what = about(job)
  enlist(what)
  gather('ZADD', lane_key(what), job.place, member_of(job))
  job.where = IN_LANE
  if job.place ~= job.due then
    job.where = FREED
    gather('ZADD', freed_key(what.queue), job.due, member_of(job))
  end
  touch(job)
end

-- Take a waiting job out of where it is.
local function pull(job)
  local what, member = about(job), member_of(job)
  if job.where == IN_LANE or job.where == FREED then
    gather('ZREM', lane_key(what), member)
    if job.where == FREED then gather('ZREM', freed_key(what.queue), member) end
  elseif job.where == ASIDE then
    gather('ZREM', aside_key(what.kind, what.queue, job.aside), member)
    gather('ZREM', held_key(what.queue), member)
    job.aside = ''
  elseif job.where == BLOCKED then
    gather('ZREM', held_key(what.queue), member)
  end
  job.where = NOWHERE
end

-- Take in a job that has come to its queue.
local function enter(job)
  local what = about(job)
  if what.key and not call('SET', pair('kh', what.queue, what.key), job.id, 'NX') then
    enlist(what)
    gather('ZADD', pair('kf', what.queue, what.key), job.serial, job.id)
    gather('ZADD', held_key(what.queue), job.due, member_of(job))
    job.where = BLOCKED
    touch(job)
    return
  end
  push(job)
end

-- Let go of a job that has ended or leaves its queue. The next of its key goes behind whatever is
-- ready, so that keys take turns.
local function leave(job)
  local what, blocked = about(job), job.where == BLOCKED
  pull(job)
  if not what.key then return end
  local followers = pair('kf', what.queue, what.key)
  sync(followers)
  if blocked then
    call('ZREM', followers, job.id)
    return
  end
  local head, first = pair('kh', what.queue, what.key), call('ZPOPMIN', followers)
  if not first[1] then
    call('DEL', head)
    return
  end
  call('SET', head, first[1])
  local follower = get(first[1])
  pull(follower)
  follower.place = math.max(follower.due, now)
  push(follower)
  hint('queue/' .. what.queue)
end

-- Limits. The arithmetic is that of `claims.Meter`.

local meters = {}

local function meter(limit)
  local found = meters[limit]
  if not found then
    local raw = call('HMGET', limit_key(limit), 'in_flight', 'rate', 'burst', 'leased', 'spent')
    found = {
      in_flight = tonumber(raw[1] or nil), rate = tonumber(raw[2] or nil),
      burst = tonumber(raw[3] or 1), leased = tonumber(raw[4] or 0), spent = tonumber(raw[5] or 0),
    }
    meters[limit] = found
  end
  return found
end

local function ahead(m)
  return math.min(math.max(0, m.spent - now), m.burst / m.rate)
end

local function room(limit)
  local m, found = meter(limit), math.huge
  if m.in_flight then found = math.max(0, m.in_flight - m.leased) end
  if m.rate then
    found = math.min(found, math.floor(m.burst - math.max(0, ahead(m) - 1e-6) * m.rate))
  end
  return found
end

local function room_at(limit)
  local m = meter(limit)
  if m.in_flight and m.leased >= m.in_flight then return math.huge end
  if not m.rate then return now end
  return now + math.max(0, ahead(m) - (m.burst - 1) / m.rate)
end

local function full_one(limits)
  for _, limit in ipairs(limits) do
    if room(limit) < 1 then return limit end
  end
end

local function take_places(limits)
  for _, limit in ipairs(limits) do
    local m = meter(limit)
    m.leased, m.changed = m.leased + 1, true
    if m.rate then m.spent = now + ahead(m) + 1 / m.rate end
  end
end

local function tell_who_asks(limit)
  for _, queue in ipairs(call('SMEMBERS', asking_key(limit))) do hint('queue/' .. queue) end
end

local function give_back(limits)
  for _, limit in ipairs(limits) do
    local m = meter(limit)
    m.leased, m.changed = math.max(0, m.leased - 1), true
    tell_who_asks(limit)
  end
end

local function write_meters()
  for limit, m in pairs(meters) do
    if m.changed then
      if m.leased == 0 and not m.in_flight and not m.rate then
        call('DEL', limit_key(limit))
      else
        local spent = string.format('%.17g', m.spent)
        call('HSET', limit_key(limit), 'leased', m.leased, 'spent', spent)
      end
    end
  end
end

-- Leases, and ends.

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
local IDS = tag .. ':ids'

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
  hint('job/' .. job.id)
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
