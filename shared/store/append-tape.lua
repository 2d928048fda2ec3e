-- Adds to the tape of a stream.
-- KEYS[1] tape
-- ARGV[1] time to live in ms   ARGV[2..] pieces
-- returns nothing
for i = 2, #ARGV do
  redis.call('RPUSH', KEYS[1], ARGV[i])
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return false
