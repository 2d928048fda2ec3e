-- Writes down an asynchronous job, and that its key has it; forgets the key's oldest.
-- KEYS[1] job   KEYS[2] jobs of the key (by their beginning)
-- ARGV[1] the job   ARGV[2] time to live in ms   ARGV[3] beginning, ms since the epoch   ARGV[4] call id
-- ARGV[5] beginning of the oldest to remember   ARGV[6] how many to remember
-- returns nothing
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[4])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', '(' .. ARGV[5])
redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -1 - ARGV[6])
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return false
