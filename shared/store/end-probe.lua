-- Gives the probe of a target back if it is still the holder's, and tells every worker.
-- KEYS[1] probe of the target
-- ARGV[1] holder   ARGV[2] channel   ARGV[3] message
-- returns nothing
if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('DEL', KEYS[1])
  redis.call('PUBLISH', ARGV[2], ARGV[3])
end
return false
