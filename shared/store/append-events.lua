-- Appends to the recording of a stream. Safe to repeat: what is there already is not written again.
-- KEYS[1] events (a Redis stream: entries end in the event their id names)   KEYS[2] lease
-- ARGV[1] id of the last entry   ARGV[2] id of this one   ARGV[3] number of its first event   ARGV[4] its bytes
-- ARGV[5] how the recording ends with it, empty when it goes on   ARGV[6] time to live in ms
-- returns 1 when it is there, 0 when what should be before it is not
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
if not last then
  return 0
end
if last[1] == ARGV[2] then
  return 1
end
if last[1] ~= ARGV[1] then
  return 0
end
redis.call('XADD', KEYS[1], ARGV[2], 'd', ARGV[4], 'n', ARGV[3], 'e', ARGV[5])
redis.call('PEXPIRE', KEYS[1], ARGV[6])
if ARGV[5] ~= '' then
  redis.call('DEL', KEYS[2])
end
redis.call('PUBLISH', KEYS[1], '')
return 1
