-- Makes the recording of a stream, empty, with the lease of who records it.
-- KEYS[1] events   KEYS[2] lease
-- ARGV[1] time to live in ms   ARGV[2] time of the lease in ms
-- returns nothing
redis.call('XADD', KEYS[1], '0-1', 'd', '')
redis.call('PEXPIRE', KEYS[1], ARGV[1])
redis.call('SET', KEYS[2], 'live', 'PX', ARGV[2])
return false
