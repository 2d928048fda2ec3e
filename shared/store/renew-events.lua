-- Keeps the lease of who records a stream, and the recording with it.
-- KEYS[1] events   KEYS[2] lease
-- ARGV[1] time to live in ms   ARGV[2] time of the lease in ms
-- returns 1 when the call is to be cancelled, else 0
local state = redis.call('GET', KEYS[2]) or 'live'
redis.call('SET', KEYS[2], state, 'PX', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return state == 'cancel' and 1 or 0
