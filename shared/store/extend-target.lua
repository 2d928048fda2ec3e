-- Notes until when a target is blocked, out or broken, unless a later time is noted, and tells every worker.
-- KEYS[1] targets
-- ARGV[1] field   ARGV[2] until, ms since the epoch   ARGV[3] value ("until" and more, by line)
-- ARGV[4] how long to keep the whole in ms   ARGV[5] channel   ARGV[6] message
-- returns 1 noted, 0 a later time was there
local known = redis.call('HGET', KEYS[1], ARGV[1])
if known and tonumber(string.match(known, '^%d+')) >= tonumber(ARGV[2]) then
  return 0
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[4]) then
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
end
redis.call('PUBLISH', ARGV[5], ARGV[6])
return 1
