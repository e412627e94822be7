-- read: entries of a log after an offset.
--
-- ARGV: log, after (below zero it counts from the end), limit. Reply: the offset of the first entry,
-- and the entries, each with its time before it.

local log, after, limit = take(), take_number(), take_number()
if limit <= 0 then return {1, {}} end
local key, gone = tag .. ':g:' .. log, tonumber(call('GET', tag .. ':gt:' .. log) or 0)
local first = after - gone
if after < 0 then first = call('LLEN', key) + after end
first = math.max(0, first)
return {gone + first + 1, call('LRANGE', key, first, first + limit - 1)}
