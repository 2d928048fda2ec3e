-- Takes a caller off those who wait for a call; when nobody is left, marks the call as cancelled and tells everybody.
-- KEYS[1] callers   KEYS[2] cancel mark
-- ARGV[1] caller   ARGV[2] the mark's time to live in ms   ARGV[3] channel   ARGV[4] call id
-- returns 1 cancelled, 0 somebody waits
redis.call('ZREM', KEYS[1], ARGV[1])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local members = redis.call('ZRANGE', KEYS[1], 0, 1)
if #members > 1 or (members[1] and members[1] ~= '') then
  return 0
end
redis.call('SET', KEYS[2], '1', 'PX', ARGV[2])
redis.call('PUBLISH', ARGV[3], ARGV[4])
return 1
