-- declare: make limits, or change them; what is leased of them already counts.
--
-- uses: jobs lanes limits ends
-- ARGV: of each limit its name, in_flight, rate (both may be empty) and burst.

for _ = 1, #ARGV / 4 do
  local limit, in_flight, rate, burst = take(), take(), take(), take()
  local key = limit_key(limit)
  call('HSET', key, 'burst', burst)
  for field, value in pairs({in_flight = in_flight, rate = rate}) do
    if value == '' then call('HDEL', key, field) else call('HSET', key, field, value) end
  end
  tell_who_asks(limit)
end
tell()
return 1
