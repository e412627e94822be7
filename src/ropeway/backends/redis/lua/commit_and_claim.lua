-- commit_and_claim: what `commit` does, and then what `claim` does, if any message has come by that.
--
-- uses: jobs lanes limits ends sending settling (transitions) parts claiming
-- ARGV: those of both, one after the other. Reply: that of `commit`, and that of `claim` or nothing.

if not next(fresh) then
  finish_up()
  return {answers}
end

-- Others are not told of a queue where all that has come is taken already.
local function keep_quiet()
  local open = {}
  for id in pairs(fresh) do
    local job = get(id)
    if job and job.state == QUEUED then open['queue/' .. about(job).queue] = true end
  end
  for what, why in pairs(hints) do
    if why == COME and not open[what] then hints[what] = nil end
  end
end

hand_over_all()
keep_quiet()
return {answers, handed_over()}
