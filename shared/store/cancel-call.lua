-- Marks a call as cancelled and tells the dispatchers.
-- KEYS[1] cancel mark
-- ARGV[1] time to live in ms   ARGV[2] channel   ARGV[3] call id
-- returns nothing
redis.call('SET', KEYS[1], '1', 'PX', ARGV[1])
redis.call('PUBLISH', ARGV[2], ARGV[3])
return false
