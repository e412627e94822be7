-- gather: the ids of all jobs that run or wait, if they are few.
--
-- uses: jobs lanes limits ends
-- ARGV: the state (0: waiting, 1: running), whether and which queue, whether and which task, and how
--   many are few. Reply: the ids in no order, or nothing if there are more.

local state, has_queue, queue = take_number(), take(), take()
local has_task, task, few = take(), take(), take_number()
local keys, at = {}, {}

local function add(key, from)
  keys[#keys + 1], at[#at + 1] = key, from
end

for _, each in ipairs(has_queue == '1' and {queue} or call('SMEMBERS', QUEUES)) do
  if state == RUNNING then
    for _, kind in ipairs(KINDS) do add(lease_key(kind, each), 10) end
  else
    add(held_key(each), 9)
    for _, lane in ipairs(call('SMEMBERS', lanes_key(each))) do
      add(lane_key({lane = lane, queue = each}), 9)
    end
  end
end
local total = 0
for _, key in ipairs(keys) do
  total = total + call('ZCARD', key)
  if total > few then return false end
end

local ids = {}
for n, key in ipairs(keys) do
  for _, member in ipairs(call('ZRANGE', key, 0, -1)) do ids[#ids + 1] = sub(member, at[n]) end
end
if has_task == '0' then return ids end
read_ahead(ids)
local found = {}
for _, id in ipairs(ids) do
  local job = get(id)
  if job and about(job).task == task then found[#found + 1] = id end
end
return found
