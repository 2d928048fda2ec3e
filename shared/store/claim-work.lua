-- Takes an idempotency key for a piece of work, unless another piece has it.
-- KEYS[1] claim
-- ARGV[1] the work   ARGV[2] time to live in ms   ARGV[3] work that may be replaced, "" for none
-- returns nothing when it is ours, else the work that has the key
local known = redis.call('GET', KEYS[1])
if known and known ~= ARGV[3] and known ~= ARGV[1] then
  return known
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return false
