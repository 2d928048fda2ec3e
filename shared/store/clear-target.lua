-- Takes back what was noted of a target and tells every worker.
-- KEYS[1] targets
-- ARGV[1] field   ARGV[2] channel   ARGV[3] message
-- returns nothing
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('PUBLISH', ARGV[2], ARGV[3])
return false
