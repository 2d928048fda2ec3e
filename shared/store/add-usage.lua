-- Adds up what keys used on one day; once, however often the same batch is sent.
-- KEYS[1] the writer's last batch   KEYS[2] the day's keys   KEYS[2+i] what a key used on the day
-- ARGV[1] number of the batch   ARGV[2] time to live in ms   ARGV[3] time to live of KEYS[1] in ms
-- ARGV[4..] for each KEYS[2+i]: key id, how many fields, then field and number of each
-- returns 1 added, 0 added before
if tonumber(redis.call('GET', KEYS[1]) or 0) >= tonumber(ARGV[1]) then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
local at = 4
for i = 3, #KEYS do
  local keyId = ARGV[at]
  local last = at + 2 * ARGV[at + 1]
  local isNew = false
  for field = at + 2, last, 2 do
    if redis.call('HINCRBY', KEYS[i], ARGV[field], ARGV[field + 1]) == tonumber(ARGV[field + 1]) then
      isNew = true
    end
  end
  if isNew then
    redis.call('PEXPIRE', KEYS[i], ARGV[2])
    redis.call('SADD', KEYS[2], keyId)
    redis.call('PEXPIRE', KEYS[2], ARGV[2])
  end
  at = last + 2
end
return 1
