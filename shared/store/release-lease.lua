-- Gives a lease back if it is still the holder's.
-- KEYS[1] lease
-- ARGV[1] holder
-- returns nothing
if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('DEL', KEYS[1])
end
return false
