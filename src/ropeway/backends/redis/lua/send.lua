-- send: take in one message that may run at once, has no key and never expires: nearly every one
-- that is sent by itself. What `publish` does with it, without what only others need.
--
-- ARGV: its id, itself, how it stands (but for the numbers that are made here, between the two
--   parts of that), its lane, its queue, and the channel on which to tell of it.
-- Reply: 1, or 0 if something of that id is there: then `publish` says what it is.

local call, pack, tag = redis.call, struct.pack, KEYS[1]
local id, message, before, after, lane, queue, channel = unpack(ARGV)
local time = call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6
local serial = call('INCRBY', tag .. ':n', 1)
local state = before .. pack('<dddd', serial, now, now, now) .. after
if call('MSETNX', tag .. ':s:' .. id, state, tag .. ':m:' .. id, message) == 0 then return 0 end
if call('SADD', tag .. ':ls:' .. queue, lane) == 1 then call('SADD', tag .. ':q', queue) end
call('ZADD', tag .. ':l:' .. lane .. queue, now, pack('>I8', serial) .. id)
call('ZADD', tag .. ':ids', 0, id)
call('SPUBLISH', channel, '')
return 1
