-- read: entries of a log after an offset.
--
-- ARGV: log, after, limit. Reply: the entries, each with its time before it.

local log, after, limit = take(), take_number(), take_number()
if limit <= 0 then return {} end
return call('LRANGE', tag .. ':g:' .. log, after, after + limit - 1)
