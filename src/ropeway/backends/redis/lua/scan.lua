-- scan: records by key.
--
-- ARGV: prefix, after, limit. Reply: key, record, key, record.

local prefix, after, limit = take(), take(), take_number()
-- No byte of a key in UTF-8 is as high as the last one here.
local low, high = '[' .. prefix, '(' .. prefix .. '\255'
if after ~= '' then
  local function bytes_less(one, other)
    for at = 1, math.min(#one, #other) do
      local a, b = one:byte(at), other:byte(at)
      if a ~= b then return a < b end
    end
    return #one < #other
  end
  if not bytes_less(after, prefix) then low = '(' .. after end
end

local found = {}
while #found < 2 * limit do
  local left = limit - #found / 2
  local keys = call('ZRANGEBYLEX', tag .. ':rk', low, high, 'LIMIT', 0, math.min(left, 1000))
  if not keys[1] then break end
  local records = {}
  for n, key in ipairs(keys) do records[n] = tag .. ':r:' .. key end
  for n, raw in ipairs(call('MGET', unpack(records))) do
    local _, expires = unpack_bytes('<dd', raw)
    if expires > now then
      found[#found + 1] = keys[n]
      found[#found + 1] = raw
    end
  end
  low = '(' .. keys[#keys]
end
return found
