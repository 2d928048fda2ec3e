-- Begins to cancel a batch that runs, and tells the dispatchers.
-- KEYS[1] meta
-- ARGV[1] key id   ARGV[2] now   ARGV[3] channel   ARGV[4] batch id
-- returns 1 if the key has such a batch, else 0
if redis.call('HGET', KEYS[1], 'key') ~= ARGV[1] then
  return 0
end
if redis.call('HGET', KEYS[1], 'state') == 'in_progress' then
  redis.call('HSET', KEYS[1], 'state', 'canceling', 'cancelled', ARGV[2])
  redis.call('PUBLISH', ARGV[3], ARGV[4])
end
return 1
