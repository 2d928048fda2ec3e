-- Writes down an asynchronous job, and that its key has it; forgets the key's oldest.
-- KEYS[1] job   KEYS[2] jobs of the key (by their beginning)   KEYS[3] open jobs of the key (by their expiry)
-- ARGV[1] the job   ARGV[2] time to live in ms   ARGV[3] beginning, ms since the epoch   ARGV[4] call id
-- ARGV[5] beginning of the oldest to remember   ARGV[6] how many to remember   ARGV[7] expiry   ARGV[8] most open jobs of the key
-- returns 1 written, 0 the key has too many open jobs, of which some may have ended
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', ARGV[3])
if redis.call('ZCARD', KEYS[3]) >= tonumber(ARGV[8]) and not redis.call('ZSCORE', KEYS[3], ARGV[4]) then
  return 0
end
redis.call('ZADD', KEYS[3], ARGV[7], ARGV[4])
redis.call('PEXPIRE', KEYS[3], ARGV[2])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[4])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', '(' .. ARGV[5])
redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -1 - ARGV[6])
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return 1
