-- settle: settle messages that are held, each by itself, and answer for each. What `commit` does.
--
-- uses: jobs lanes limits ends settling
-- ARGV: of each the fence (id, attempt, holder), the digest, and the settle in three parts.
-- Reply: for each 0 (applied), 1 (repeated), or {2, reason, key, version} (refused).

local settles, ids, answers = {}, {}, {}
for n = 1, #ARGV / 7 do
  settles[n] = {fence = take_fence(), digest = take(), settle = take_settle()}
  ids[n] = settles[n].fence.id
end
read_ahead(ids)
for n, each in ipairs(settles) do answers[n] = apply_settle(each.fence, each.digest, each.settle) end
finish_up()
return answers
