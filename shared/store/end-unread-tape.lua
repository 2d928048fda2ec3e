-- Ends the tape of a stream whose caller left, unless somebody reads it.
-- KEYS[1] tape   KEYS[2] readers
-- ARGV[1] last piece   ARGV[2] time to live in ms
-- returns 1 ended, 0 somebody reads it
if redis.call('EXISTS', KEYS[2]) == 1 then
  return 0
end
redis.call('RPUSH', KEYS[1], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
