-- prune: end what waits past its `expires`, and remove what need not be kept.
--
-- uses: jobs lanes limits ends
-- ARGV: how many of each final state stay, seconds for which an expired job is kept, its error,
--   the most to be changed, and the queues of which it is noted. Reply: how many were changed.

local newest, kept, error_kept, limit = take_number(), take_number(), take(), take_number()
local RECORDS, RECORDS_OVER, JOINS_OVER = tag .. ':rk', tag .. ':rx', tag .. ':jx'
local done, noted = 0, {}
for at = 5, #ARGV do noted[ARGV[at]] = true end

-- Leave a record that says that a job was ended: see `late_key`.
local function note(id)
  local key = 'late/' .. id
  if call('EXISTS', tag .. ':r:' .. key) == 1 then return end
  call('SET', tag .. ':r:' .. key, pack('<ddI4', 1, math.huge, 0))
  call('ZADD', RECORDS, 0, key)
  hint(key)
end

local function over(key)
  return call('ZRANGEBYSCORE', key, '-inf', now, 'LIMIT', 0, limit - done)
end

end_flagged()

local just_ended = {}
for _, id in ipairs(over(LATE)) do
  local job = get(id)
  if job then
    job.error, job.digest = error_kept, ''
    finish(job, EXPIRED, kept)
    bump(job)
    just_ended[#just_ended + 1] = job
    if noted[about(job).queue] then note(id) end
  else
    gather('ZREM', LATE, id)
  end
  done = done + 1
end

for state = SUCCEEDED, QUARANTINED do
  local key = ended_key(state)
  sync(key)
  local too_many = math.max(0, call('ZCARD', key) - newest)
  local ids = over(key)
  if too_many > #ids and done < limit then
    ids = call('ZRANGE', key, 0, math.min(too_many, limit - done) - 1)
  end
  read_ahead(ids)
  for _, id in ipairs(ids) do
    local job = get(id)
    if job then remove(job) else gather('ZREM', key, id) end
    done = done + 1
  end
end
for _, job in ipairs(just_ended) do index(job) end

for _, key in ipairs(done < limit and over(RECORDS_OVER) or {}) do
  call('DEL', tag .. ':r:' .. key)
  gather('ZREM', RECORDS, key)
  gather('ZREM', RECORDS_OVER, key)
  done = done + 1
end

for _, each in ipairs(done < limit and over(JOINS_OVER) or {}) do
  call('UNLINK', tag .. ':j:' .. each, tag .. ':jm:' .. each)
  gather('ZREM', JOINS_OVER, each)
  done = done + 1
end
finish_up()

-- Forget queues that hold nothing, a few at random: their names are what is left of them.
local function holds_work(queue)
  local keys = {held_key(queue)}
  for _, kind in ipairs(KINDS) do keys[#keys + 1] = lease_key(kind, queue) end
  for _, lane in ipairs(call('SMEMBERS', lanes_key(queue))) do
    keys[#keys + 1] = lane_key({lane = lane, queue = queue})
  end
  return call('EXISTS', unpack(keys)) > 0
end

for _, queue in ipairs(call('SRANDMEMBER', QUEUES, 20)) do
  if not holds_work(queue) then
    for _, each in ipairs(call('SMEMBERS', asides_key(queue))) do
      call('SREM', asking_key(sub(each, 2)), queue)
    end
    call('DEL', lanes_key(queue), asides_key(queue))
    call('SREM', QUEUES, queue)
  end
end
return done
