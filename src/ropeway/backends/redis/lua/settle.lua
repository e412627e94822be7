-- settle: settle messages that are held, each by itself, and answer for each. What `commit` does.
--
-- uses: jobs lanes limits ends settling parts
-- ARGV: runs of settles that have all in common but the id, the digest and the value. Of each run
--   the holder; numbers (how many, the attempt, whether the ids are all there is of them, and the
--   first part of the settle); the error; and of each of its jobs the id, and digest and value in one.
-- Reply: 0 if all were applied; else for each 0 (applied), 1 (repeated), or {2, reason, key, version}
--   (refused).

local function take_run()
  local run = {holder = take()}
  local numbers = take()
  local n, attempt, bare, at = unpack_bytes('<I4I4B', numbers)
  run.attempt, run.attempt_bytes, run.error = attempt, sub(numbers, 5, 8), take()
  run.each, run.first, run.bare = settle_of(sub(numbers, at), run.error, ''), taken + 1, bare == 1
  run.step = bare == 1 and 1 or 2
  taken = taken + run.step * n
  run.last = taken
  local each = run.each
  run.plain = each.kind == 0 and each.state == SUCCEEDED and each.counts == 0 and run.error == ''
  return run
end

local function settle_one(run, id, rest)
  local digest, each = sub(rest, 1, 8), run.each
  local value = each.value and sub(rest, 9)
  local raw = run.plain and raws[id]
  local what = raw and held_alike(raw)
  if what and what.holder == run.holder and sub(raw, 8, 11) == run.attempt_bytes then
    finish_held(id, raw, what, each.keep, digest, value)
    return 0
  end
  if value then each.value = value end
  return apply_settle({id = id, attempt = run.attempt, holder = run.holder}, digest, each)
end

local runs, ids, answers, all_applied = {}, {}, {}, true
while taken < #ARGV do
  local run = take_run()
  runs[#runs + 1] = run
  for at = run.first, run.last, run.step do ids[#ids + 1] = ARGV[at] end
end
read_ahead(ids)
for _, run in ipairs(runs) do
  for at = run.first, run.last, run.step do
    local answer = settle_one(run, ARGV[at], run.bare and '' or ARGV[at + 1])
    answers[#answers + 1] = answer
    all_applied = all_applied and answer == 0
  end
end
finish_up()
return all_applied and 0 or answers
