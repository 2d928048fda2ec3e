-- Holds money of a key's budget for a call, unless what is spent and held already is all of it. Safe to repeat.
-- KEYS[1] budget (hash: spent, held, and what each call holds)   KEYS[2] holds (call id by expiry)
-- ARGV[1] budget   ARGV[2] call id   ARGV[3] what to hold   ARGV[4] time to hold it in ms   ARGV[5] time to live in ms
-- returns { 1 held or 0 refused, spent, held }
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000

-- Whoever held these is gone; their calls were in flight, and what they cost is known to nobody.
for _, id in ipairs(redis.call('ZRANGE', KEYS[2], '-inf', now, 'BYSCORE', 'LIMIT', 0, 100)) do
  local amount = redis.call('HGET', KEYS[1], id)
  -- Redis reads no '-0'.
  if amount and amount ~= '0' then
    redis.call('HINCRBY', KEYS[1], 'held', '-' .. amount)
  end
  redis.call('HDEL', KEYS[1], id)
  redis.call('ZREM', KEYS[2], id)
end

local spent = tonumber(redis.call('HGET', KEYS[1], 'spent') or 0)
local held = tonumber(redis.call('HGET', KEYS[1], 'held') or 0)
if redis.call('HEXISTS', KEYS[1], ARGV[2]) == 1 then
  return { 1, spent, held }
end
if spent + held >= tonumber(ARGV[1]) then
  return { 0, spent, held }
end
redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
redis.call('HINCRBY', KEYS[1], 'held', ARGV[3])
redis.call('ZADD', KEYS[2], now + ARGV[4], ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
redis.call('PEXPIRE', KEYS[2], ARGV[5])
return { 1, spent, held }
