-- Settles all items of a batch that were never taken, as cancelled or expired.
-- KEYS[1] lease   KEYS[2] meta   KEYS[3] open   KEYS[4] open items of the key   KEYS[5] open batches   KEYS[6..] to delete at the end
-- ARGV[1] holder of the lease   ARGV[2] canceled or expired   ARGV[3] batch id   ARGV[4] now
-- returns 1 ended, 0 items are still open, -1 the lease is another's
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return -1
end
local meta = redis.call('HMGET', KEYS[2], 'state', 'next', 'total', 'succeeded', 'errored', 'canceled', 'expired')
if not meta[1] or meta[1] == 'ended' then
  redis.call('HDEL', KEYS[5], ARGV[3])
  redis.call('HDEL', KEYS[4], ARGV[3])
  return 1
end
local open = redis.call('SCARD', KEYS[3])
if tonumber(meta[2]) < tonumber(meta[3]) then
  local pending = meta[3] - (meta[4] or 0) - (meta[5] or 0) - (meta[6] or 0) - (meta[7] or 0)
  redis.call('HSET', KEYS[2], 'next', meta[3], 'rest', ARGV[2], 'rest_from', meta[2])
  redis.call('HINCRBY', KEYS[2], ARGV[2], pending - open)
  redis.call('HSET', KEYS[4], ARGV[3], open)
end
if open > 0 then
  return 0
end
redis.call('HSET', KEYS[2], 'state', 'ended', 'ended', ARGV[4])
redis.call('HDEL', KEYS[5], ARGV[3])
redis.call('HDEL', KEYS[4], ARGV[3])
for i = 6, #KEYS do
  redis.call('UNLINK', KEYS[i])
end
return 1
