-- get: what is kept of keys, in the order asked.
--
-- uses: jobs
-- ARGV: keys. Reply: for each nothing; a record as it is kept; or of a job its state, its message
--   and, if it has another by now, its body.

local keys = {}
for n, key in ipairs(ARGV) do
  local id = sub(key, 1, 4) == 'job/' and sub(key, 5)
  keys[2 * n - 1] = id and state_key(id) or tag .. ':r:' .. key
  keys[2 * n] = id and message_key(id) or tag .. ':none'
end
local raws = {}
for first = 1, #keys, MOST do
  local last = math.min(first + MOST - 1, #keys)
  for at, raw in ipairs(call('MGET', unpack(keys, first, last))) do raws[first + at - 1] = raw end
end

local found = {}
for n, key in ipairs(ARGV) do
  local raw = raws[2 * n - 1]
  found[n] = raw
  if raw and sub(key, 1, 4) == 'job/' then
    local job = decode(sub(key, 5), raw)
    found[n] = {raw, raws[2 * n]}
    if has(job, REWRITTEN) then found[n][3] = call('GET', body_key(job.id)) end
  elseif raw then
    local _, expires = unpack_bytes('<dd', raw)
    if expires <= now then found[n] = false end
  end
end
return found
