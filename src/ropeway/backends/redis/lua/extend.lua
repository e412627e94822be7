-- extend: renew leases.
--
-- uses: jobs lanes limits ends
-- ARGV: lease, and of each fence the id, the attempt and the holder.
-- Reply: for each 0 (lost), 1 (held) or 2 (held, and to be cancelled).

local lease = take_number()
local fences, ids = {}, {}
for n = 1, (#ARGV - 1) / 3 do
  fences[n] = {id = take(), attempt = take_number(), holder = take()}
  ids[n] = fences[n].id
end
read_ahead(ids)

local answers = {}
for n, fence in ipairs(fences) do
  local job = get(fence.id)
  answers[n] = 0
  if job and job.state == RUNNING and job.attempt == fence.attempt and job.holder == fence.holder then
    local what = about(job)
    gather('ZADD', lease_key(what.kind, what.queue), now + lease, lease_member(job, what.band))
    answers[n] = 1
    if has(job, CANCELLING) then
      gather('ZADD', FLAGGED, now + lease, job.id)
      answers[n] = 2
    end
  end
end
finish_up()
return answers
