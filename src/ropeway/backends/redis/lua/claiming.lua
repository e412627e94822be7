-- Messages that are leased to a holder; or in how many seconds there may be some.
--
-- Taken are: holder, lease, AGEING, CHARGED_AFTER, the number of claims, and of each its queue, n,
--   lowest and highest band, and the letters of its kinds.
-- `handed_over` writes everything, and returns: seconds until more may be found (0: look again at once),
--   the states, the messages, and the bodies that were put in the place of those: number, body.

local holder, lease = take(), take_number()
local AGEING, CHARGED_AFTER = take_number(), take_number()
local MOST_LOOKED_AT = 2000 -- messages in one call: the server does nothing else meanwhile

local looked, unfinished = 0, false
local found = {}

-- Whether the silent end of the attempt that held the lease is charged: see `message.is_lost`.
local function is_lost(job)
  local abandoned = job.attempt - job.failures - job.losses - job.releases - 1
  if abandoned < CHARGED_AFTER then return false end
  local raw = call('GET', tag .. ':r:solo/' .. job.id)
  if not raw then return false end
  local _, expires, n, at = unpack_bytes('<ddI4', raw)
  return expires > now and sub(raw, at + n) == string.format('%d', job.attempt)
end

local function hand_over(job)
  local what = about(job)
  if job.state == RUNNING then
    if is_lost(job) then job.losses = job.losses + 1 end
  else
    if job.where == FREED then gather('ZREM', freed_key(what.queue), member_of(job)) end
    if job.expires == job.expires then gather('ZREM', LATE, job.id) end
    job.state, job.where = RUNNING, NOWHERE
  end
  job.holder, job.attempt, job.started, job.digest = holder, job.attempt + 1, now, ''
  bump(job)
  gather('ZADD', lease_key(what.kind, what.queue), now + lease, lease_member(job, what.band))
  found[#found + 1] = job.id
end

-- The same for a job of which nothing else changes by that, and that was not taken apart.
local function hand_over_fresh(id, member, raw, what)
  raw = LEASED_FIRST .. own_part(raw) .. what.tail
  gather('ZADD', what.lease, now + lease, sub(member, 1, 8) .. what.band .. id)
  stands(id, raw)
  found[#found + 1] = id
end

local function is_asked_for(claim, kind, band)
  return claim.kinds:find(kind, 1, true) and band >= claim.lowest and band <= claim.highest
end

-- Take over leases that have ended, those first that ended first.
local function take_expired(claim)
  local over = {}
  for kind in claim.kinds:gmatch('.') do
    local key, offset, mine, page = lease_key(kind, claim.queue), 0, 0, nil
    sync(key)
    repeat
      page = call('ZRANGEBYSCORE', key, '-inf', now, 'WITHSCORES', 'LIMIT', offset, 200)
      for at = 1, #page, 2 do
        local band = tonumber(sub(page[at], 9, 9))
        if mine < claim.n and band >= claim.lowest and band <= claim.highest then
          local serial = unpack_bytes('>I8', page[at])
          over[#over + 1] = {id = sub(page[at], 10), ends = tonumber(page[at + 1]), serial = serial}
          mine = mine + 1
        end
      end
      offset = offset + 200
    until #page < 400 or mine >= claim.n
  end
  table.sort(over, function(one, other)
    if one.ends ~= other.ends then return one.ends < other.ends end
    return one.serial < other.serial
  end)
  local taken_over = 0
  for _, each in ipairs(over) do
    local job = get(each.id)
    if taken_over < claim.n and job and not has(job, CANCELLING) then
      hand_over(job)
      taken_over = taken_over + 1
    end
  end
  return claim.n - taken_over
end

-- Nothing of a queue waits for a limit any more: let it not be told of places there.
local function unlist_aside(queue, kind, limit)
  call('SREM', asides_key(queue), kind .. limit)
  for _, other in ipairs(KINDS) do
    if call('EXISTS', aside_key(other, queue, limit)) == 1 then return end
  end
  call('SREM', asking_key(limit), queue)
end

-- Put as many back that waited for a limit as have room by now.
local function bring_back(claim, asides)
  for _, each in ipairs(asides) do
    local kind, limit = sub(each, 1, 1), sub(each, 2)
    local free = claim.kinds:find(kind, 1, true) and room(limit) or 0
    if free >= 1 then
      local key = aside_key(kind, claim.queue, limit)
      sync(key)
      local first = call('ZPOPMIN', key, math.min(free, MOST_LOOKED_AT))
      for at = 1, #first, 2 do
        local job = get(sub(first[at], 9))
        if job then
          gather('ZREM', held_key(claim.queue), first[at])
          job.aside = ''
          push(job)
        end
      end
      if call('EXISTS', key) == 0 then unlist_aside(claim.queue, kind, limit) end
    end
  end
end

local function put_aside(job, limit)
  local what = about(job)
  local member = member_of(job)
  if job.where == FREED then gather('ZREM', freed_key(what.queue), member) end
  local rank = job.place - AGEING * tonumber(what.band)
  gather('ZADD', aside_key(what.kind, what.queue, limit), rank, member)
  gather('ZADD', held_key(what.queue), job.due, member)
  call('SADD', asides_key(what.queue), what.kind .. limit)
  sets[asides_key(what.queue)] = nil
  call('SADD', asking_key(limit), what.queue)
  job.where, job.aside = ASIDE, limit
  touch(job)
end

-- The lanes that a claim asks for.
local function lanes_of(claim)
  local lanes = {}
  for _, lane in ipairs(members(lanes_key(claim.queue))) do
    local kind, band = sub(lane, 1, 1), tonumber(sub(lane, 2))
    if is_asked_for(claim, kind, band) then
      local key = lane_key({lane = lane, queue = claim.queue})
      sync(key)
      lanes[#lanes + 1] = {key = key, band = band, name = lane, items = {}, at = 1, gone = 0}
    end
  end
  return lanes
end

-- The first of a lane that is due and has not been taken.
local function first_of(lane, chunk)
  if lane.at > #lane.items then
    if lane.over then return nil end
    lane.items = call('ZRANGEBYSCORE', lane.key, '-inf', now, 'WITHSCORES', 'LIMIT', lane.gone, chunk)
    lane.at, lane.over = 1, #lane.items < 2 * chunk
    local ids = {}
    for at = 1, #lane.items, 2 do ids[#ids + 1] = sub(lane.items[at], 9) end
    read_ahead(ids)
    if not lane.items[1] then return nil end
  end
  return lane
end

local function rank_of(lane)
  local member = lane.items[lane.at]
  if lane.read ~= member then
    lane.read, lane.rank = member, tonumber(lane.items[lane.at + 1]) - AGEING * lane.band
    lane.serial = unpack_bytes('>I8', member)
  end
  return lane.rank
end

local function comes_before(one, other)
  local rank, others = rank_of(one), rank_of(other)
  if rank ~= others then return rank < others end
  if one.band ~= other.band then return one.band > other.band end
  return one.serial < other.serial
end

local function next_lane(lanes, chunk)
  local best
  for _, lane in ipairs(lanes) do
    if first_of(lane, chunk) and (not best or comes_before(lane, best)) then best = lane end
  end
  return best
end

-- Hand over a job that is due, or put it aside; says whether it is handed over.
local function hand_over_from(member)
  local id = sub(member, 9)
  local raw = raws[id]
  local alike = raw and fresh_alike(raw, holder)
  if alike then
    hand_over_fresh(id, member, raw, alike)
    return true
  end
  local job = get(id)
  if not job then return false end
  local limits = about(job).limits
  local full = limits and full_one(limits)
  if full then
    put_aside(job, full)
    return false
  end
  if limits then take_places(limits) end
  hand_over(job)
  return true
end

-- Hand over what is due and what no limit holds back.
local function take_due(claim, n)
  local lanes = lanes_of(claim)
  local chunk = #lanes == 1 and n or math.min(n, 32)
  while n > 0 do
    local lane = next_lane(lanes, chunk)
    if not lane then break end
    if looked >= MOST_LOOKED_AT then
      unfinished = true
      break
    end
    looked = looked + 1
    local member = lane.items[lane.at]
    lane.at, lane.gone = lane.at + 2, lane.gone + 1
    if hand_over_from(member) then n = n - 1 end
  end
  for _, lane in ipairs(lanes) do
    if lane.gone > 0 then call('ZREMRANGEBYRANK', lane.key, 0, lane.gone - 1) end
  end
  return n
end

local function soonest(claim)
  local soon = math.huge
  local function may_be(at) if at then soon = math.min(soon, tonumber(at) - now) end end
  for kind in claim.kinds:gmatch('.') do
    may_be(call('ZRANGE', lease_key(kind, claim.queue), 0, 0, 'WITHSCORES')[2])
  end
  for _, lane in ipairs(lanes_of(claim)) do
    local first = call('ZRANGE', lane.key, 0, 0, 'WITHSCORES')[2]
    may_be(first)
    if not first then call('SREM', lanes_key(claim.queue), lane.name) end
  end
  for _, each in ipairs(members(asides_key(claim.queue))) do
    local kind, limit = sub(each, 1, 1), sub(each, 2)
    if claim.kinds:find(kind, 1, true) then
      if call('EXISTS', aside_key(kind, claim.queue, limit)) == 1 then
        may_be(room_at(limit))
      else
        unlist_aside(claim.queue, kind, limit)
      end
    end
  end
  return soon
end

local claims = {}

local function hand_over_all()
  end_flagged()
  for n = 1, take_number() do
    claims[n] = {
      queue = take(), n = take_number(), lowest = take_number(), highest = take_number(), kinds = take(),
    }
  end
  for _, claim in ipairs(claims) do
    local n = take_expired(claim)
    if n > 0 then
      local asides = members(asides_key(claim.queue))
      if asides[1] then bring_back(claim, asides) end
      n = take_due(claim, n)
    end
    unfinished = unfinished or n == 0
  end
end

local function handed_over()
  finish_up()
  local states, keys, bodies, soon = {}, {}, {}, math.huge
  for n, id in ipairs(found) do
    states[n], keys[n] = raws[id], message_key(id)
    local job = jobs[id]
    if job and has(job, REWRITTEN) then
      bodies[#bodies + 1] = n
      bodies[#bodies + 1] = call('GET', body_key(id))
    end
  end
  if unfinished then
    soon = 0
  else
    for _, claim in ipairs(claims) do soon = math.min(soon, soonest(claim)) end
  end
  local messages = found[1] and call('MGET', unpack(keys)) or {}
  return {string.format('%.6f', math.min(soon, 1e9)), states, messages, bodies}
end
