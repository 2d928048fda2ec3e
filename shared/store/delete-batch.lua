-- Deletes a batch that has ended.
-- KEYS[1] meta   KEYS[2] list of the key   KEYS[3..] everything else of the batch
-- ARGV[1] key id   ARGV[2] batch id
-- returns 1 deleted, 0 the key has no such batch, -1 it has not ended
if redis.call('HGET', KEYS[1], 'key') ~= ARGV[1] then
  return 0
end
if redis.call('HGET', KEYS[1], 'state') ~= 'ended' then
  return -1
end
redis.call('ZREM', KEYS[2], ARGV[2])
redis.call('UNLINK', KEYS[1])
for i = 3, #KEYS do
  redis.call('UNLINK', KEYS[i])
end
return 1
