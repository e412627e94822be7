-- causes: what jobs of some states ended for.
--
-- uses: jobs lanes limits ends
-- ARGV: the most causes, the ids from which and before which, then the states.
-- Reply: the causes, each with its state, its fingerprint, how many, the newest and the oldest id;
--   and 1 if those are all.

local most, low, high = take_number(), take(), take()
local found, whole = {}, 1
for n = taken + 1, #ARGV do
  local state = ARGV[n]
  for _, cause in ipairs(call('SMEMBERS', causes_key(state))) do
    local key = cause_key(state, cause)
    local number = call('ZLEXCOUNT', key, '[' .. low, '(' .. high)
    if number > 0 then
      if #found >= most then
        whole = 0
        break
      end
      local newest = call('ZREVRANGEBYLEX', key, '(' .. high, '[' .. low, 'LIMIT', 0, 1)[1]
      local oldest = call('ZRANGEBYLEX', key, '[' .. low, '(' .. high, 'LIMIT', 0, 1)[1]
      found[#found + 1] = {tonumber(state), cause, number, newest, oldest}
    end
  end
end
return {found, whole}
