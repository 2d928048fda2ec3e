-- Takes a caller off those who wait for a call, and lets the call go on for a while in case somebody joins it.
-- KEYS[1] callers   KEYS[2] deadline
-- ARGV[1] caller   ARGV[2] until when the call goes on in any case, ms since the epoch   ARGV[3] time to live in ms
-- returns nothing
redis.call('ZADD', KEYS[1], '+inf', '')
redis.call('ZREM', KEYS[1], ARGV[1])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[3]) then
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
if tonumber(redis.call('GET', KEYS[2]) or 0) < tonumber(ARGV[2]) then
  redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
end
return false
