-- Takes the right to be the one call that tries a target first, and tells every worker.
-- KEYS[1] probe of the target
-- ARGV[1] holder   ARGV[2] time to hold in ms   ARGV[3] channel   ARGV[4] message
-- returns 0 taken, else the ms for which another holds it
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then
  redis.call('PUBLISH', ARGV[3], ARGV[4])
  return 0
end
return math.max(1, redis.call('PTTL', KEYS[1]))
