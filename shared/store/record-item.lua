-- Records how an item of a batch ended, once, has its key's budget pay for it, and ends the batch with its last item.
-- KEYS[1] meta   KEYS[2] results   KEYS[3] bodies   KEYS[4] open   KEYS[5] sent   KEYS[6] open items of the key   KEYS[7] open batches
-- KEYS[8] budget and KEYS[9] its holds, if the key has one
-- ARGV[1] item   ARGV[2] succeeded, errored, canceled or expired   ARGV[3] result   ARGV[4] batch id   ARGV[5] now
-- ARGV[6] 1 if a provider was asked twice   ARGV[7] call id, ARGV[8] cost and ARGV[9] time to live in ms, if the key has a budget
-- returns 2 recorded and the batch has ended, 1 recorded, 0 recorded before or the batch is gone
local keep = redis.call('HGET', KEYS[1], 'keep')
if not keep or redis.call('HSETNX', KEYS[2], ARGV[1], ARGV[3]) == 0 then
  return 0
end
redis.call('PEXPIREAT', KEYS[2], keep)
if KEYS[8] then
  local held = redis.call('HGET', KEYS[8], ARGV[7])
  if held then
    redis.call('HDEL', KEYS[8], ARGV[7])
    redis.call('ZREM', KEYS[9], ARGV[7])
    -- Redis reads no '-0'.
    if held ~= '0' then
      redis.call('HINCRBY', KEYS[8], 'held', '-' .. held)
    end
  end
  -- A hold that ran out is no reason not to pay.
  redis.call('HINCRBY', KEYS[8], 'spent', ARGV[8])
  redis.call('PEXPIRE', KEYS[8], ARGV[9])
end
redis.call('HDEL', KEYS[3], ARGV[1])
redis.call('SREM', KEYS[4], ARGV[1])
redis.call('HDEL', KEYS[5], ARGV[1])
redis.call('HINCRBY', KEYS[1], ARGV[2], 1)
if ARGV[6] == '1' then
  redis.call('HINCRBY', KEYS[1], 'rerun', 1)
end
local meta = redis.call('HMGET', KEYS[1], 'total', 'succeeded', 'errored', 'canceled', 'expired')
local pending = meta[1] - (meta[2] or 0) - (meta[3] or 0) - (meta[4] or 0) - (meta[5] or 0)
if pending > 0 then
  redis.call('HSET', KEYS[6], ARGV[4], pending)
  return 1
end
redis.call('HSET', KEYS[1], 'state', 'ended', 'ended', ARGV[5])
redis.call('HDEL', KEYS[6], ARGV[4])
redis.call('HDEL', KEYS[7], ARGV[4])
for i = 3, 5 do
  redis.call('UNLINK', KEYS[i])
end
return 2
