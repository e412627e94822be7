-- Limits: how much of each is taken. The arithmetic is that of `claims.Meter`.

local function asides_key(queue) return tag .. ':as:' .. queue end
local function asking_key(limit) return tag .. ':lq:' .. limit end
local function limit_key(limit) return tag .. ':li:' .. limit end

local meters = {}

local function meter(limit)
  local found = meters[limit]
  if not found then
    local raw = call('HMGET', limit_key(limit), 'in_flight', 'rate', 'burst', 'leased', 'spent')
    found = {
      in_flight = tonumber(raw[1] or nil), rate = tonumber(raw[2] or nil),
      burst = tonumber(raw[3] or 1), leased = tonumber(raw[4] or 0), spent = tonumber(raw[5] or 0),
    }
    meters[limit] = found
  end
  return found
end

local function ahead(m)
  return math.min(math.max(0, m.spent - now), m.burst / m.rate)
end

local function room(limit)
  local m, found = meter(limit), math.huge
  if m.in_flight then found = math.max(0, m.in_flight - m.leased) end
  if m.rate then
    found = math.min(found, math.floor(m.burst - math.max(0, ahead(m) - 1e-6) * m.rate))
  end
  return found
end

local function room_at(limit)
  local m = meter(limit)
  if m.in_flight and m.leased >= m.in_flight then return math.huge end
  if not m.rate then return now end
  return now + math.max(0, ahead(m) - (m.burst - 1) / m.rate)
end

local function full_one(limits)
  for _, limit in ipairs(limits) do
    if room(limit) < 1 then return limit end
  end
end

local function take_places(limits)
  for _, limit in ipairs(limits) do
    local m = meter(limit)
    m.leased, m.changed = m.leased + 1, true
    if m.rate then m.spent = now + ahead(m) + 1 / m.rate end
  end
end

local function tell_who_asks(limit)
  for _, queue in ipairs(call('SMEMBERS', asking_key(limit))) do hint('queue/' .. queue) end
end

local function give_back(limits)
  for _, limit in ipairs(limits) do
    local m = meter(limit)
    m.leased, m.changed = math.max(0, m.leased - 1), true
    tell_who_asks(limit)
  end
end

local function write_meters()
  for limit, m in pairs(meters) do
    if m.changed then
      if m.leased == 0 and not m.in_flight and not m.rate then
        call('DEL', limit_key(limit))
      else
        local spent = string.format('%.17g', m.spent)
        call('HSET', limit_key(limit), 'leased', m.leased, 'spent', spent)
      end
    end
  end
end
