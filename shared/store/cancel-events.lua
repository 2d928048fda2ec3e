-- Asks whoever records a stream to cancel its call.
-- KEYS[1] lease
-- returns 1 when somebody records it, else 0
if redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
redis.call('SET', KEYS[1], 'cancel', 'KEEPTTL')
redis.call('PUBLISH', KEYS[1], '')
return 1
