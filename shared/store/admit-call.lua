-- Admits a call under its key's limits, both or neither. Safe to repeat: a lease that is held admits again.
-- KEYS[1] rate (GCRA: when the bucket is full again, in ms)   KEYS[2] leases (call id by expiry)
-- ARGV[1] calls per minute, 0 for no limit   ARGV[2] concurrent calls, 0 for no limit
-- ARGV[3] call id   ARGV[4] time to hold the lease in ms
-- returns 0 admitted, else the ms after which to try again
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local perMinute = tonumber(ARGV[1])
local concurrent = tonumber(ARGV[2])

if concurrent > 0 then
  if redis.call('ZSCORE', KEYS[2], ARGV[3]) then
    return 0
  end
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
  if redis.call('ZCARD', KEYS[2]) >= concurrent then
    return 1000
  end
end

if perMinute > 0 then
  local interval = 60000 / perMinute
  local full = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now) + interval
  local wait = full - 60000 - now
  -- The clock has a thousandth of a ms, the quotient has more digits: a hair's breadth is no wait.
  if wait > 0.01 then
    return math.max(1, math.ceil(wait))
  end
  redis.call('SET', KEYS[1], string.format('%.6f', full), 'PX', math.ceil(full - now) + 1000)
end

if concurrent > 0 then
  redis.call('ZADD', KEYS[2], now + ARGV[4], ARGV[3])
  if redis.call('PTTL', KEYS[2]) < tonumber(ARGV[4]) then
    redis.call('PEXPIRE', KEYS[2], ARGV[4])
  end
end
return 0
