-- Writes down under which call each body is being asked; the latest call of a body has the entry.
-- KEYS entries
-- ARGV[2i-1] time to live in ms, ARGV[2i] the call, of entry i
-- returns nothing
for i = 1, #KEYS do
  redis.call('SET', KEYS[i], ARGV[2 * i], 'PX', ARGV[2 * i - 1])
end
return false
