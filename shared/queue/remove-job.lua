-- Takes a job out of its lane, if it was never in a dispatcher's hands but to be put aside: what BullMQ's removeJob does, which
-- asks no more than whether the job has a lock, and so removes what a lost dispatcher had in hand as if nobody had had it.
-- KEYS[1] wait   KEYS[2] delayed   KEYS[3] hash of the job
-- ARGV[1] id
-- returns 1 removed, 0 left alone, -1 not there
local fields = redis.call('HMGET', KEYS[3], 'timestamp', 'ats', 'parked')
if not fields[1] then
  return -1
end
-- How often it was taken, and the last time that it was put aside.
if tonumber(fields[2] or 0) > tonumber(fields[3] or 0) then
  return 0
end
if redis.call('ZREM', KEYS[2], ARGV[1]) == 0 then
  redis.call('LREM', KEYS[1], 1, ARGV[1])
end
redis.call('DEL', KEYS[3])
return 1
