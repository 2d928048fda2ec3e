-- Gives an idempotency key back, if the work still has it.
-- KEYS[1] claim
-- ARGV[1] the work
-- returns nothing
if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('UNLINK', KEYS[1])
end
return false
