-- Makes a batch of what write-items stored, and tells the dispatchers. Safe to repeat.
-- KEYS[1] meta   KEYS[2] bodies   KEYS[3] index   KEYS[4] results   KEYS[5] list of the key   KEYS[6] open items of the key
-- KEYS[7] open batches
-- ARGV[1] batch id   ARGV[2] key id   ARGV[3] created   ARGV[4] expires   ARGV[5] results kept until   ARGV[6] batch kept until
-- ARGV[7] total   ARGV[8] errored already   ARGV[9] headers as JSON   ARGV[10] most open items of the key   ARGV[11] channel
-- returns 1 opened, 0 the key has too many open items, -1 what was stored is gone
if redis.call('EXISTS', KEYS[1]) == 1 then
  return 1
end
if redis.call('EXISTS', KEYS[3]) == 0 then
  return -1
end
local pending = ARGV[7] - ARGV[8]
if redis.call('HLEN', KEYS[2]) ~= pending then
  return -1
end
local open = pending
for _, count in ipairs(redis.call('HVALS', KEYS[6])) do
  open = open + count
end
if pending > 0 and open > tonumber(ARGV[10]) then
  return 0
end
redis.call('HSET', KEYS[1], 'key', ARGV[2], 'state', 'in_progress', 'created', ARGV[3], 'expires', ARGV[4], 'keep', ARGV[5],
  'total', ARGV[7], 'errored', ARGV[8], 'next', 0, 'headers', ARGV[9])
if pending == 0 then
  redis.call('HSET', KEYS[1], 'state', 'ended', 'ended', ARGV[3])
else
  redis.call('HSET', KEYS[6], ARGV[1], pending)
  redis.call('HSET', KEYS[7], ARGV[1], ARGV[2])
  for i = 6, 7 do
    if redis.call('PTTL', KEYS[i]) + ARGV[3] < tonumber(ARGV[6]) then
      redis.call('PEXPIREAT', KEYS[i], ARGV[6])
    end
  end
end
redis.call('PEXPIREAT', KEYS[1], ARGV[6])
for i = 2, 4 do
  redis.call('PEXPIREAT', KEYS[i], ARGV[5])
end
redis.call('ZADD', KEYS[5], ARGV[3], ARGV[1])
redis.call('PEXPIREAT', KEYS[5], ARGV[6])
redis.call('PUBLISH', ARGV[11], ARGV[1])
return 1
