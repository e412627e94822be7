-- stats: count what waits in queues, each up to a cap.
--
-- uses: jobs lanes limits ends
-- ARGV: cap, then the names of queues; or none, for all that hold work.
-- Reply: of each queue its name, ready, delayed, leased, and the oldest due time or nothing.

local cap = take_number()
local all = #ARGV == 1
local queues = all and call('SMEMBERS', QUEUES) or {unpack(ARGV, 2)}

local function look(queue)
  local keys = {held_key(queue)}
  for _, lane in ipairs(call('SMEMBERS', lanes_key(queue))) do
    keys[#keys + 1] = lane_key({lane = lane, queue = queue})
  end
  local ready, delayed, leased, oldest = 0, 0, 0, nil
  local function older(key)
    local first = tonumber(call('ZRANGE', key, 0, 0, 'WITHSCORES')[2] or nil)
    if first and (not oldest or first < oldest) then oldest = first end
  end
  for _, key in ipairs(keys) do
    older(key)
    if cap > 0 then
      local due = call('ZCOUNT', key, '-inf', now)
      ready, delayed = ready + due, delayed + call('ZCARD', key) - due
    end
  end
  older(freed_key(queue))
  for _, kind in ipairs(KINDS) do leased = leased + call('ZCARD', lease_key(kind, queue)) end
  return {
    queue, math.min(cap, ready), math.min(cap, delayed), math.min(cap, leased),
    oldest and string.format('%.17g', oldest) or false,
  }, oldest or leased > 0
end

local found = {}
for _, queue in ipairs(queues) do
  local stats, holds_work = look(queue)
  if holds_work or not all then found[#found + 1] = stats end
end
return found
