-- Jobs that stand as nearly all do, handed over and settled without being taken apart.
--
-- How a job stands is three parts: a head (state, flags, where, version, attempt and counts), four
-- numbers that are its own (serial, enqueued, due, place), and a tail. What was sent alike and is
-- held alike has the same tail, so what follows from that is found out once for all of them. A job
-- that is anything else, by a flag, a count, a key, a limit or an error, is taken apart instead.

local HEAD, OWN, TEXTS = 27, 59, 112 -- where each part ends, and where the tail has its texts

local HEADS = '<BBBI4I4I4I4I4I4'
local FRESH = pack(HEADS, QUEUED, 0, IN_LANE, 1, 0, 0, 0, 0, 0)
local LEASED_FIRST = pack(HEADS, RUNNING, 0, NOWHERE, 2, 1, 0, 0, 0, 0)
local LEASED = sub(LEASED_FIRST, 1, 3)

local function own_part(raw) return sub(raw, HEAD + 1, OWN) end

-- What jobs of this tail have in common if they wait since they were sent; nothing if this one does
-- not, or if more than its lane hears of it when it is handed over to `holder`.
local waiting = {}

local function fresh_alike(raw, holder)
  if sub(raw, 1, HEAD) ~= FRESH then return nil end
  local tail = sub(raw, OWN + 1)
  local found = waiting[tail]
  if found == nil then
    local job = decode('', raw)
    local what = about(job)
    found = false
    if #raw == TEXTS + #job.static and job.expires ~= job.expires and not what.limits then
      job.holder, job.started = holder, now
      found = {lease = lease_key(what.kind, what.queue), band = what.band, tail = sub(encode(job), OWN + 1)}
    end
    waiting[tail] = found
  end
  return found
end

-- What jobs of this tail have in common if they are held; nothing if this one is not, or if others
-- wait for its end.
local held = {}

local function held_alike(raw)
  if sub(raw, 1, 3) ~= LEASED then return nil end
  local tail = sub(raw, OWN + 1)
  local found = held[tail]
  if found == nil then
    local job = decode('', raw)
    local what = about(job)
    found = false
    if #raw == TEXTS + #job.static + #job.holder and not what.key and not what.limits then
      found = {lease = lease_key(what.kind, what.queue), band = what.band, holder = job.holder}
    end
    held[tail] = found
  end
  return found
end

-- Settle one of those as succeeded.
local function finish_held(id, raw, what, keep, digest, value)
  local serial, version = unpack_bytes('<d', raw, HEAD + 1), unpack_bytes('<I4', raw, 4)
  gather('ZREM', what.lease, pack('>I8', serial) .. what.band .. id)
  hint('job/' .. id, id)
  if keep <= 0 then
    gather('ZREM', IDS, id)
    erase(id)
    return
  end
  -- The date of its start lies before the two that are new, the lengths of its texts behind them.
  stands(id, pack('<BBBI4', SUCCEEDED, 0, NOWHERE, version + 1) .. sub(raw, 8, 67)
    .. pack('<dd', now, now + keep) .. sub(raw, 84, 107)
    .. pack('<BI4', #digest, value and #value + 1 or 0) .. sub(raw, TEXTS + 1) .. digest
    .. (value or ''))
  gather('ZADD', ended_key(SUCCEEDED), now + keep, id)
end
