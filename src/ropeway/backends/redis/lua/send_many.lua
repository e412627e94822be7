-- send_many: take in messages of one queue, band and kind, each of which `send` would take in.
--
-- ARGV: how they stand (but for the numbers that are made here, between the two parts of that),
--   their lane, their queue, the channel on which to tell of them; then of each its id and itself.
-- Reply: 1, or 0 if something of one of these ids is there: then `publish` goes through them.

local call, pack, tag = redis.call, struct.pack, KEYS[1]
local before, after, lane, queue, channel = unpack(ARGV, 1, 5)
local time = call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6
local n = (#ARGV - 5) / 2
local serial = call('INCRBY', tag .. ':n', n) - n
local states, messages, score = tag .. ':s:', tag .. ':m:', string.format('%.17g', now)
local kept, places, ids = {}, {}, {}
for at = 1, n do
  local id, message = ARGV[2 * at + 4], ARGV[2 * at + 5]
  local first, second = 4 * at - 3, 2 * at - 1
  kept[first] = states .. id
  kept[first + 1] = before .. pack('<dddd', serial + at, now, now, now) .. after
  kept[first + 2], kept[first + 3] = messages .. id, message
  places[second], places[second + 1] = score, pack('>I8', serial + at) .. id
  ids[second], ids[second + 1] = '0', id
end
if call('MSETNX', unpack(kept)) == 0 then return 0 end
if call('SADD', tag .. ':ls:' .. queue, lane) == 1 then call('SADD', tag .. ':q', queue) end
call('ZADD', tag .. ':l:' .. lane .. queue, unpack(places))
call('ZADD', tag .. ':ids', unpack(ids))
call('SPUBLISH', channel, '')
return 1
