-- search: ids of jobs, newest first, as far as a moment goes.
--
-- uses: jobs lanes limits ends
-- ARGV: where to look (ids: all; i: those of a final state that is no success; c: those of a cause),
--   the state, the cause, the ids from which and before which, how many are wanted, how many may
--   be looked at; then the state wanted (-1: any), and whether and which task and queue.
-- Reply: the id down to which was looked, or nothing if that was all; how many were looked at; ids.

local where, in_state, cause, low, high = take(), take(), take(), take(), take()
local wanted, most = take_number(), take_number()
local state, has_task, task, has_queue, queue = take_number(), take(), take(), take(), take()
local plain = state < 0 and has_task == '0' and has_queue == '0'
local key = IDS
if where == 'i' then key = index_key(in_state) elseif where == 'c' then key = cause_key(in_state, cause) end

local function is_wanted(job)
  if state >= 0 and job.state ~= state then return false end
  local what = about(job)
  return (has_task == '0' or what.task == task) and (has_queue == '0' or what.queue == queue)
end

local found, looked, before = {}, 0, '(' .. high
while #found < wanted and looked < most do
  local chunk = math.min(500, most - looked)
  if plain then chunk = math.min(chunk, wanted - #found) end
  local ids = call('ZREVRANGEBYLEX', key, before, '[' .. low, 'LIMIT', 0, chunk)
  if not plain then read_ahead(ids) end
  for _, id in ipairs(ids) do
    if #found >= wanted then break end
    before, looked = '(' .. id, looked + 1
    local job = plain or get(id)
    if plain or (job and is_wanted(job)) then found[#found + 1] = id end
  end
  if #ids < chunk and (#ids == 0 or before == '(' .. ids[#ids]) then return {false, looked, found} end
end
return {sub(before, 2), looked, found}
