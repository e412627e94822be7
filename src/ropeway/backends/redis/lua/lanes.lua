-- What waits: lanes, keys, and what sets the next one free.
--
-- A queue has a lane for each kind and band: a sorted set by place (the due time, or the later time
-- at which its key became free), then by the order of publishing. Of a key one job is its head; the
-- others are blocked, and in none. What a limit holds back is aside, by rank. Those two are also in
-- `held`, by due time; what was freed late is in `freed` by its due time, for people to see.

local function lane_key(what) return tag .. ':l:' .. what.lane .. what.queue end
local function lanes_key(queue) return tag .. ':ls:' .. queue end
local function held_key(queue) return tag .. ':h:' .. queue end
local function freed_key(queue) return tag .. ':f:' .. queue end
local function aside_key(kind, queue, limit) return pair('a:' .. kind, queue, limit) end

local QUEUES, LATE, IDS = tag .. ':q', tag .. ':late', tag .. ':ids'
local KINDS = {'t', 'l', 'c'}

local function member_of(job) return pack('>I8', job.serial) .. job.id end

-- What a set holds: read once, as long as this script adds nothing to it.
local sets = {}

local function members(key)
  local found = sets[key]
  if not found then
    found = call('SMEMBERS', key)
    sets[key] = found
  end
  return found
end

local known = {}

-- Have a queue, and a lane of it, be found by whoever looks for them. Pruning forgets
-- a queue that holds nothing, with its lanes.
local function enlist(what)
  local lanes = lanes_key(what.queue)
  local found = known[lanes] or {}
  known[lanes] = found
  if not found[what.lane] then
    found[what.lane] = true
    if call('SADD', lanes, what.lane) == 1 then call('SADD', QUEUES, what.queue) end
    sets[lanes] = nil
  end
end

-- How many wait in a queue, due or not.
local function depth(queue)
  local held = held_key(queue)
  sync(held)
  local waiting = call('ZCARD', held)
  for _, lane in ipairs(call('SMEMBERS', lanes_key(queue))) do
    local key = lane_key({lane = lane, queue = queue})
    sync(key)
    waiting = waiting + call('ZCARD', key)
  end
  return waiting
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
  if job.where == NOWHERE then return end
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
