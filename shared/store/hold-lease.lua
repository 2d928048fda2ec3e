-- Takes a lease that is free, or goes on holding it.
-- KEYS[1] lease
-- ARGV[1] holder   ARGV[2] time to hold in ms
-- returns 1 held, 0 another has it
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then
  return 1
end
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
