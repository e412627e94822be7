-- peek: what waits in a queue, by due time.
--
-- uses: jobs lanes limits ends
-- ARGV: queue, limit. Reply: as of `get`, for each job.

local queue, limit = take(), take_number()
local keys, ids, seen, waiting = {held_key(queue), freed_key(queue)}, {}, {}, {}
for _, lane in ipairs(call('SMEMBERS', lanes_key(queue))) do
  keys[#keys + 1] = lane_key({lane = lane, queue = queue})
end
for _, key in ipairs(keys) do
  for _, member in ipairs(limit > 0 and call('ZRANGE', key, 0, limit - 1) or {}) do
    local id = sub(member, 9)
    if not seen[id] then
      seen[id] = true
      ids[#ids + 1] = id
    end
  end
end
read_ahead(ids)
for _, id in ipairs(ids) do waiting[#waiting + 1] = get(id) or nil end
table.sort(waiting, function(one, other)
  if one.due ~= other.due then return one.due < other.due end
  return one.serial < other.serial
end)

local found = {}
for n = 1, math.min(limit, #waiting) do
  local job = waiting[n]
  found[n] = {encode(job), call('GET', message_key(job.id))}
  if has(job, REWRITTEN) then found[n][3] = call('GET', body_key(job.id)) end
end
return found
