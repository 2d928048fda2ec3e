-- Puts jobs at the end of a lane; one whose id is there already is left as it is. What BullMQ's addStandardJob writes, but
-- for its events and counters, which nobody reads.
-- KEYS[1] wait   KEYS[2] marker
-- ARGV[1] name of a job's hash but for its id, then for each job: id, time of adding (ms since the epoch), payload
-- returns nothing
local added = {}
for i = 2, #ARGV, 3 do
  local key = ARGV[1] .. ARGV[i]
  if redis.call('EXISTS', key) == 0 then
    redis.call('HSET', key, 'name', 'c', 'data', ARGV[i + 2], 'opts', '{}', 'timestamp', ARGV[i + 1])
    added[#added + 1] = ARGV[i]
  end
end
if #added > 0 then
  redis.call('LPUSH', KEYS[1], unpack(added))
  redis.call('ZADD', KEYS[2], 0, '0')
end
return false
