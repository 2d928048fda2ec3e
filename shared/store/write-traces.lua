-- Stores traces and the pointers to them.
-- KEYS trace or pointer
-- ARGV[1] time to live in ms   ARGV[1+i] value of KEYS[i]
-- returns nothing
for i = 1, #KEYS do
  redis.call('SET', KEYS[i], ARGV[1 + i], 'PX', ARGV[1])
end
return false
