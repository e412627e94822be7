-- What every script begins with: the clock, the names of keys, writes that are gathered, hints.
--
-- KEYS[1] is the tag of the namespace, "{name}": whatever a script touches begins with it, so that
-- all of it lies in one slot. Names may hold any bytes; where two stand in one key the length of
-- the first is before it, so that no two pairs share a key.

local call, sub, pack, unpack_bytes = redis.call, string.sub, struct.pack, struct.unpack
local tag = KEYS[1]

local function clock()
  local time = call('TIME')
  return tonumber(time[1]) + tonumber(time[2]) / 1e6
end

local now = clock()

local function pair(kind, first, second)
  return tag .. ':' .. kind .. ':' .. #first .. ':' .. first .. second
end

-- A number that may be left out is a NaN.
local function given(number)
  if number == number then return number end
end

-- Writes to sorted sets, gathered by key, so that a batch costs one call for each set.
local pending = {}
local MOST = 4000 -- values in one call: more than 7,000 do not fit on Lua's stack

local function sync(key)
  local list = pending[key]
  if list then
    pending[key] = nil
    call(unpack(list, 1, list.n))
  end
end

local function gather(command, key, first, second)
  local list = pending[key]
  if not list or list[1] ~= command or list.n > MOST then
    sync(key)
    list = {command, key, n = 2}
    pending[key] = list
  end
  local n = list.n + 1
  list[n] = first
  if second then
    n = n + 1
    list[n] = second
  end
  list.n = n
end

local function in_parts(command, list)
  for first = 1, #list, MOST do
    call(command, unpack(list, first, math.min(first + MOST - 1, #list)))
  end
end

-- Whoever waits for one of these names is told when everything is written; of a job that is named
-- with it also how it stands then, if that is short, so that nobody has to ask.
local hints, raws = {}, {}
local MANY = 8 -- of so many names it is asked first which ones anybody waits for
local MOST_TOLD = 4096

local function hint(what, id)
  hints[what] = id or ''
end

local function channel(what)
  if #what > 64 then return tag .. ':hint#' .. redis.sha1hex(what) end
  return tag .. ':hint:' .. what
end

local function tell()
  local names, words, n = {}, {}, 0
  for what, id in pairs(hints) do
    n = n + 1
    local raw = raws[id]
    names[n], words[n] = channel(what), raw and #raw <= MOST_TOLD and raw or ''
  end
  for first = 1, n, MOST do
    local last = math.min(first + MOST - 1, n)
    -- A user of the server may not be allowed to ask: then all are told.
    local heard = last - first >= MANY
      and redis.pcall('PUBSUB', 'SHARDNUMSUB', unpack(names, first, last))
    for at = first, last do
      if not heard or heard.err or heard[2 * (at - first + 1)] ~= 0 then
        call('SPUBLISH', names[at], words[at])
      end
    end
  end
end

-- Arguments are taken one after the other.
local taken = 0

local function take()
  taken = taken + 1
  return ARGV[taken]
end

local function take_number()
  return tonumber(take())
end
