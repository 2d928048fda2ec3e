-- Puts jobs at the end of a lane, or into the hands of a dispatcher that has room and waits, if nothing lies before them.
-- One whose id is there already is left as it is. What BullMQ's addStandardJob writes, and for one that is handed over its
-- moveToActive, but for events and counters, which nobody reads.
-- KEYS[1] wait   KEYS[2] marker   KEYS[3] active   KEYS[4] offers of dispatchers, as `handover.ts` writes them (score: when
-- each was made or renewed, ms since the epoch)
-- ARGV[1] name of a job's hash but for its id   ARGV[2] ms that offers are good for, then for each job: id, time of adding
-- (ms since the epoch), payload
-- returns nothing
local listening = {}
-- Not everybody has the right to ask; who has not hands nothing over.
local function hears(channel)
  if listening[channel] == nil then
    local reply = redis.pcall('PUBSUB', 'NUMSUB', channel)
    listening[channel] = reply.err and 'unknown' or reply[2] > 0
  end
  return listening[channel]
end

local now
-- The newest. Offers of those who are gone by now are used up without anything being lost; who has not renewed its own
-- stands still, and would only keep a job from others.
local function takeOffer()
  if not now then
    local time = redis.call('TIME')
    now = time[1] * 1000 + math.floor(time[2] / 1000)
  end
  while true do
    local newest = redis.call('ZPOPMAX', KEYS[4])
    local offer = newest[1]
    if not offer then
      return nil
    end
    if now - newest[2] > tonumber(ARGV[2]) then
      redis.call('DEL', KEYS[4])
      return nil
    end
    local channel, token, lock, answered, cancelled = string.match(offer, '^(%S+) (%S+) (%d+) (%S+) (%S+)$')
    local isHeard = channel and hears(channel)
    if isHeard == 'unknown' then
      redis.call('ZADD', KEYS[4], newest[2], offer)
      return nil
    elseif isHeard then
      return { channel = channel, token = token, lock = lock, answered = answered, cancelled = cancelled, newest = newest }
    end
  end
end

local added = {}
local handed = {}
local isFirst = redis.call('LLEN', KEYS[1]) == 0
for i = 3, #ARGV, 3 do
  local id = ARGV[i]
  local key = ARGV[1] .. id
  if redis.call('EXISTS', key) == 0 then
    -- First of all: Redis refuses for want of memory only what comes before a script's first write.
    redis.call('HSET', key, 'name', 'c', 'data', ARGV[i + 2], 'opts', '{}', 'timestamp', ARGV[i + 1])
    local offer = isFirst and takeOffer()
    if offer then
      redis.call('HSET', key, 'ats', 1)
      redis.call('SET', key .. ':lock', offer.token, 'PX', offer.lock)
      redis.call('LPUSH', KEYS[3], id)
      local isAnswered, isCancelled = 0, 0
      if redis.call('EXISTS', offer.answered .. id, offer.cancelled .. id) > 0 then
        isAnswered = redis.call('EXISTS', offer.answered .. id)
        isCancelled = redis.call('EXISTS', offer.cancelled .. id)
      end
      local time = string.format('%d', now)
      local head = table.concat({ id, offer.token, isAnswered, isCancelled, time, #ARGV[i + 2] }, ' ')
      local one = handed[offer.channel] or { message = '', jobs = {} }
      handed[offer.channel] = one
      one.message = one.message .. head .. '\n' .. ARGV[i + 2]
      one.jobs[#one.jobs + 1] = { at = i, newest = offer.newest }
    else
      isFirst = false
      added[#added + 1] = id
    end
  end
end
local refused = {}
for channel, one in pairs(handed) do
  local reply = redis.pcall('PUBLISH', channel, one.message)
  if type(reply) == 'table' and reply.err then
    for _, job in ipairs(one.jobs) do
      refused[#refused + 1] = job
    end
  end
end
-- Without the right to say so nothing is handed over: back to where they would have been, before the others.
table.sort(refused, function(a, b) return a.at > b.at end)
for _, job in ipairs(refused) do
  local id = ARGV[job.at]
  redis.call('DEL', ARGV[1] .. id .. ':lock')
  redis.call('HDEL', ARGV[1] .. id, 'ats')
  redis.call('LREM', KEYS[3], 1, id)
  redis.call('ZADD', KEYS[4], job.newest[2], job.newest[1])
  table.insert(added, 1, id)
end
if #added > 0 then
  redis.call('LPUSH', KEYS[1], unpack(added))
  redis.call('ZADD', KEYS[2], 0, '0')
end
return false
