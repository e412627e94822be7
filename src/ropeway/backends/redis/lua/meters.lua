-- meters: what limits allow, and what of it is used.
--
-- uses: jobs lanes limits ends
-- ARGV: names. Reply: for each in_flight, rate, burst, leased and spent, as far as they are known.

local found = {}
for n, limit in ipairs(ARGV) do
  found[n] = call('HMGET', limit_key(limit), 'in_flight', 'rate', 'burst', 'leased', 'spent')
end
return found
