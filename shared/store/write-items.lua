-- Stores items of a batch that is being made. Until it is opened all of it goes away by itself.
-- KEYS[1] bodies   KEYS[2] index   KEYS[3] results
-- ARGV[1] time to live in ms   ARGV[2] number of the index' chunk, "" for none   ARGV[3] the chunk
-- ARGV[4] how many bodies   then, for each, item and body   then, for each result, item and result
-- returns nothing
if ARGV[2] ~= '' then
  redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
end
local at = 5
for _ = 1, tonumber(ARGV[4]) do
  redis.call('HSET', KEYS[1], ARGV[at], ARGV[at + 1])
  at = at + 2
end
while at < #ARGV do
  redis.call('HSET', KEYS[3], ARGV[at], ARGV[at + 1])
  at = at + 2
end
for i = 1, 3 do
  redis.call('PEXPIRE', KEYS[i], ARGV[1])
end
return false
