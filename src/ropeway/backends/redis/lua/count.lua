-- count: how many ids a set of them holds in a range.
--
-- uses: jobs lanes limits ends
-- ARGV: where and whose, as of `search`; the ids from which and before which.

local where, in_state, cause, low, high = take(), take(), take(), take(), take()
local key = IDS
if where == 'i' then key = index_key(in_state) elseif where == 'c' then key = cause_key(in_state, cause) end
return call('ZLEXCOUNT', key, '[' .. low, '(' .. high)
