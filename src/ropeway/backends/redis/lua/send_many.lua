-- send_many: take in messages of one queue, band and kind, each of which `send` would take in.
--
-- ARGV: how they stand (but for the numbers that are made here, between the two parts of that),
--   their lane, their queue, the channel on which to tell of them; the number of records that must
--   not be there, and their keys; then of each message its id and itself.
-- Reply: 1, or 0 if such a record or something of one of these ids is there: then nothing is done,
--   and `publish` or `commit` goes through them.

local call, pack, tag = redis.call, struct.pack, KEYS[1]
local before, after, lane, queue, channel, guards = unpack(ARGV, 1, 6)
guards = tonumber(guards)
if guards > 0 then
  local records = {}
  for at = 1, guards do records[at] = tag .. ':r:' .. ARGV[6 + at] end
  if call('EXISTS', unpack(records)) > 0 then return 0 end
end
local time = call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6
local head = 6 + guards
local n = (#ARGV - head) / 2
local serial = call('INCRBY', tag .. ':n', n) - n
local states, messages, score = tag .. ':s:', tag .. ':m:', string.format('%.17g', now)
local kept, places, ids = {}, {}, {}
for at = 1, n do
  local id, message = ARGV[head + 2 * at - 1], ARGV[head + 2 * at]
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
