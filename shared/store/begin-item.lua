-- What to know before an item of a batch is run.
-- KEYS[1] meta   KEYS[2] results   KEYS[3] sent
-- ARGV[1] item
-- returns 1 if it has ended or its batch is gone, else 0; the batch's state; what was sent, or nil
if redis.call('EXISTS', KEYS[1]) == 0 or redis.call('HEXISTS', KEYS[2], ARGV[1]) == 1 then
  return { 1 }
end
return { 0, redis.call('HGET', KEYS[1], 'state'), redis.call('HGET', KEYS[3], ARGV[1]) }
