-- Admits calls of one key under its limits, in order; each under both limits or neither.
-- KEYS[1] rate (GCRA: when the bucket is full again, in ms)   KEYS[2] leases (call id by expiry)
-- ARGV[1] calls per minute, 0 for no limit   ARGV[2] concurrent calls, 0 for no limit
-- ARGV[3] number of ended calls, whose ids follow: their leases are given back first
-- then for each call its id, the time to hold its lease in ms (0 for none: it has ended), and 1 if it has begun: it is
-- counted in any case
-- returns 1 if half of each limit is left after them, else 0; then for each call 0 admitted, else the ms after which to try again
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local perMinute = tonumber(ARGV[1])
local concurrent = tonumber(ARGV[2])

local ended = tonumber(ARGV[3])

if ended > 0 then
  redis.call('ZREM', KEYS[2], unpack(ARGV, 4, 3 + ended))
end
local room = math.huge
if concurrent > 0 then
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
  room = concurrent - redis.call('ZCARD', KEYS[2])
end
local interval = 0
local full = now
if perMinute > 0 then
  interval = 60000 / perMinute
  full = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now)
end

local waits = { 0 }
local leases = {}
local admitted = 0
local longest = 0
for i = 4 + ended, #ARGV, 3 do
  local wait = 0
  local early = full + interval - 60000 - now
  if ARGV[i + 2] == '0' and room <= 0 then
    wait = 1000
  -- The clock has a thousandth of a ms, the quotient has more digits: a hair's breadth is no wait.
  elseif ARGV[i + 2] == '0' and perMinute > 0 and early > 0.01 then
    wait = math.max(1, math.ceil(early))
  end
  if wait == 0 then
    local hold = tonumber(ARGV[i + 1])
    admitted = admitted + 1
    full = full + interval
    if hold > 0 then
      room = room - 1
      leases[#leases + 1] = math.ceil(now + hold) -- whole: Redis reads and compares them faster
      leases[#leases + 1] = ARGV[i]
      longest = math.max(longest, hold)
    end
  end
  waits[#waits + 1] = wait
end

if full - now <= 30000 and room * 2 >= concurrent then
  waits[1] = 1
end
if admitted == 0 then
  return waits
end
if perMinute > 0 then
  redis.call('SET', KEYS[1], string.format('%.6f', full), 'PX', math.ceil(full - now) + 1000)
end
if concurrent > 0 and #leases > 0 then
  redis.call('ZADD', KEYS[2], unpack(leases))
  if redis.call('PTTL', KEYS[2]) < longest then
    redis.call('PEXPIRE', KEYS[2], longest)
  end
end
return waits
